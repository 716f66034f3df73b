//! A million counts, from the macro to the backend, add up exactly.

use std::time::Duration;
use zibrato::{Zibrato, count};
use zibrato_tests::{Broker, Carbon, DEADLINE, Signal, wait_until};

const THREADS: u32 = 4;
const EACH: u32 = 250_000;

#[test]
fn a_million_counts_from_four_threads_arrive_exactly() {
    let (mut carbon, mut broker) = (Carbon::start(), Broker::start());
    let address = format!("127.0.0.1:{}", carbon.port());
    let mut worker = broker.worker("zibrato-carbon", &["--flush", "1", "--carbon", &address]);
    let builder = Zibrato::builder().port(broker.port()).source("million");
    let guard = builder.interval(Duration::from_millis(50)).install().unwrap();

    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let z = zibrato::installed().unwrap();
                let by_thread = format!("thread.{thread}");
                for turn in 0..EACH {
                    // Mostly with a call site, and occasionally with a name known only at run time.
                    if turn % 1_000 == 0 {
                        z.count("info", &by_thread, 1);
                    } else {
                        count!("info", "site");
                    }
                }
            });
        }
    });
    let stats = guard.handle().flush(DEADLINE);
    assert_eq!((stats.recorded, stats.delivered), (1_000_000, 1_000_000));
    assert!(stats.balances());
    assert_eq!(guard.shutdown().total_lost(), 0);

    let site = f64::from(THREADS * (EACH - EACH / 1_000));
    wait_until(DEADLINE, "Carbon to write", || carbon.sum("million.site") >= site);
    // Once all have ended, nothing more arrives, and nothing is counted twice.
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    assert_eq!(broker.stop(Signal::TERM).code(), Some(0));
    carbon.stop();
    assert_eq!(carbon.sum("million.site"), site);
    for thread in 0..THREADS {
        assert_eq!(carbon.sum(&format!("million.thread.{thread}")), f64::from(EACH / 1_000));
    }
}
