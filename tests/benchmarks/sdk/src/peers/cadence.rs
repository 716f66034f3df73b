//! `cadence`: a queue and a thread, which sends over UDP to a socket of this machine.

use crate::measure::{Case, Who, looped, on_threads};
use cadence::prelude::*;
use cadence::{BufferedUdpMetricSink, NopMetricSink, QueuingMetricSink, StatsdClient};
use std::error::Error;
use std::hint::black_box;
use std::net::UdpSocket;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Maximum time of its thread to empty the queue after a loop.
const DRAINING: Duration = Duration::from_secs(10);

pub fn cases() -> Result<Vec<Case>, Box<dyn Error>> {
    let receiver = UdpSocket::bind("127.0.0.1:0")?;
    let to = receiver.local_addr()?;
    let udp = BufferedUdpMetricSink::from(to, UdpSocket::bind("127.0.0.1:0")?)?;
    // Dropping one clone ends its thread, so two clones are kept for ever.
    let sink = Arc::new(QueuingMetricSink::from(udp));
    let client = Arc::new(StatsdClient::from_sink("cadence", QueuingMetricSink::clone(&sink)));
    // No program reads from it: the system drops packets that do not fit.
    let receiver = Arc::new(receiver);
    let drain = move || {
        let _open = &receiver;
        let begun = Instant::now();
        while sink.queued() > 0 {
            assert!(begun.elapsed() < DRAINING, "cadence still has {} queued", sink.queued());
            thread::sleep(Duration::from_millis(1));
        }
    };
    let off = StatsdClient::from_sink("cadence", NopMetricSink);
    let name = black_box("handle".to_owned());
    let with = || Arc::clone(&client);
    let case = |row, name, run| Case::new(row, Who::Peer(name), run);
    let (count, timed, read, named, threads) = (with(), with(), with(), with(), with());
    let cases = vec![
        case("count", "cadence", looped(move || drop(black_box(count.count("count", 1))))),
        case(
            "time",
            "cadence",
            looped(move || {
                let begun = Instant::now();
                drop(black_box(timed.time("time", begun.elapsed())));
            }),
        ),
        case("gauge", "cadence", looped(move || drop(black_box(read.gauge("gauge", 17_u64))))),
        case(
            "unwanted",
            "cadence, no-op sink",
            looped(move || {
                drop(black_box(off.count("unwanted", 1)));
            }),
        ),
        case(
            "handle, looked up",
            "cadence",
            looped(move || {
                drop(black_box(named.count(black_box(&name), 1)));
            }),
        ),
        case(
            "count, 2 threads",
            "cadence",
            on_threads(2, move || {
                drop(black_box(threads.count("threads", 1)));
            }),
        ),
    ];
    Ok(cases.into_iter().map(|case| case.settle(drain.clone())).collect())
}
