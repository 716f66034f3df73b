//! From the program to a worker: the number of measurements per second, and the CPU time of all
//! participants.

use crate::ours;
use crate::processes::{Process, cpu_of, cpu_of_this_thread, threads};
use crate::table::{CPU, PER_SECOND, Row};
use cadence::prelude::*;
use cadence::{BufferedUdpMetricSink, QueuingMetricSink, StatsdClient};
use std::error::Error;
use std::hint::black_box;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};
use zibrato::{Zibrato, count, time};

/// How long the program measures.
const MEASURING: Duration = Duration::from_secs(3);

/// The number of threads: the number of processors of the machine with the published figures.
const THREADS: usize = 2;

/// The number of lines of the other variants, each with one measurement.
const LINES: u64 = 2_000_000;
const LINE: &[u8] = b"info|Counter|benchmark|1|1700000000|web-1";

/// The cost of a variant for a number of measurements.
struct Way {
    arrived: u64,
    took: Duration,
    program: Duration,
    /// The part of the program's CPU time that its background threads used.
    sender: Duration,
    broker: Duration,
    worker: Duration,
}

impl Way {
    fn per_second(&self) -> f64 {
        self.arrived as f64 / self.took.as_secs_f64()
    }

    fn per_million(&self, cpu: fn(&Self) -> Duration) -> f64 {
        cpu(self).as_secs_f64() / self.arrived as f64 * 1e6
    }
}

pub fn rows() -> Result<Vec<Row>, Box<dyn Error>> {
    let ours = ours()?;
    let direct = push_to_pull(By::Itself)?;
    let pumped = push_to_pull(By::Pump)?;
    let udp = cadence()?;
    const CADENCE: &str = "cadence, UDP";
    let cpu = |name, floor: (&'static str, f64), peer: bool, of: fn(&Way) -> Duration| {
        let peers = peer.then(|| (CADENCE, udp.per_million(of)));
        Row::new(name, CPU, ours.per_million(of), floor, peers.into_iter().collect())
    };
    let of_pushing =
        |of: fn(&Way) -> Duration| ("PUSH to PULL, a line each", direct.per_million(of));
    let of_pumping = |of: fn(&Way) -> Duration| ("pump from PULL to PUSH", pumped.per_million(of));
    Ok(vec![
        Row::new(
            "end to end",
            PER_SECOND,
            ours.per_second(),
            ("PUSH to PULL, a line each", direct.per_second()),
            vec![(CADENCE, udp.per_second())],
        ),
        cpu("end to end, program", of_pushing(|way| way.program), true, |way| way.program),
        cpu("end to end, sender", of_pushing(|way| way.sender), true, |way| way.sender),
        cpu("end to end, broker", of_pumping(|way| way.broker), false, |way| way.broker),
        cpu("end to end, worker", of_pushing(|way| way.worker), true, |way| way.worker),
    ])
}

fn ours() -> Result<Way, Box<dyn Error>> {
    let (broker, port) = Process::broker()?;
    let (mut worker, _) = Process::part("worker", &(port + 1).to_string())?;
    let before = threads();
    let guard = ours::install(port)?;
    let sending = threads().difference(&before).copied().collect();
    wait_until_wanted(&guard.handle(), &mut worker)?;

    let (already, recorded) = (worker.arrived()?, guard.handle().stats().recorded);
    let cpu = |worker: &Process| [cpu_of(&sending), broker.cpu(), worker.cpu()];
    let (begun, cpu_before) = (Instant::now(), cpu(&worker));
    let measuring: Duration = thread::scope(|scope| {
        let all: Vec<_> = (0..THREADS).map(|_| scope.spawn(measure)).collect();
        all.into_iter().map(|one| one.join().expect("measuring does not panic")).sum()
    });
    let made = guard.handle().flush(Duration::from_secs(10)).recorded - recorded;
    let (_, at) = worker.arrives(already + made)?;
    let arrived = worker.arrived()? - already;
    if arrived != made {
        return Err(format!("{made} measurements were made, but {arrived} arrived").into());
    }
    let cpu_after = cpu(&worker);
    let [sender, of_broker, of_worker] = [0, 1, 2].map(|at| cpu_after[at] - cpu_before[at]);
    drop(guard);
    Ok(Way {
        arrived,
        took: at - begun,
        program: measuring + sender,
        sender,
        broker: of_broker,
        worker: of_worker,
    })
}

/// Waits until the level is wanted and the first count has arrived at the worker.
fn wait_until_wanted(zibrato: &Zibrato, worker: &mut Process) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    while worker.arrived()? == 0 || zibrato.stats().pending > 0 {
        if begun.elapsed() > Duration::from_secs(10) {
            return Err("no count arrives at the worker".into());
        }
        count!("info", "benchmark.end.to.end.first");
        zibrato.flush(Duration::from_secs(1));
    }
    Ok(())
}

/// Counts and times in turn, and returns the time that this took.
fn measure() -> Duration {
    let (begun, before) = (Instant::now(), cpu_of_this_thread());
    while begun.elapsed() < MEASURING {
        for _ in 0..1000 {
            count!("info", "benchmark.end.to.end.count");
            time!("info", "benchmark.end.to.end.time", black_box(()));
        }
    }
    cpu_of_this_thread() - before
}

/// Whether there is a process between the two.
enum By {
    Itself,
    Pump,
}

/// One line per message, as fast as libzmq accepts them.
fn push_to_pull(by: By) -> Result<Way, Box<dyn Error>> {
    let (mut pull, mut endpoint) = Process::part("pull", "")?;
    let pump = match by {
        By::Itself => None,
        By::Pump => {
            let (pump, entry) = Process::part("pump", &endpoint)?;
            endpoint = entry;
            Some(pump)
        }
    };
    let before = threads();
    let context = zmq::Context::new();
    let push = context.socket(zmq::PUSH)?;
    push.connect(&endpoint)?;
    push.send("first", 0)?;
    pull.arrives(1)?;
    let sending = threads().difference(&before).copied().collect();
    let broker = || pump.as_ref().map_or(Duration::ZERO, Process::cpu);
    let cpu = [cpu_of_this_thread(), cpu_of(&sending), broker(), pull.cpu()];
    let begun = Instant::now();
    for _ in 0..LINES {
        push.send(LINE, 0)?;
    }
    let (arrived, at) = pull.arrives(LINES + 1)?;
    let now = [cpu_of_this_thread(), cpu_of(&sending), broker(), pull.cpu()];
    let [this, sender, broker, worker] = [0, 1, 2, 3].map(|at| now[at] - cpu[at]);
    let program = this + sender;
    Ok(Way { arrived: arrived - 1, took: at - begun, program, sender, broker, worker })
}

/// One line per measurement, several in a packet.
fn cadence() -> Result<Way, Box<dyn Error>> {
    let (mut reader, address) = Process::part("udp", "")?;
    let before = threads();
    let udp = BufferedUdpMetricSink::from(&*address, UdpSocket::bind("127.0.0.1:0")?)?;
    let sink = QueuingMetricSink::from(udp);
    let client = StatsdClient::from_sink("benchmark", sink.clone());
    client.count("first", 1)?;
    let sending = threads().difference(&before).copied().collect();
    let cpu = [cpu_of_this_thread(), cpu_of(&sending), reader.cpu()];
    let begun = Instant::now();
    for _ in 0..LINES {
        client.count("count", 1)?;
        // An unbounded queue would falsify the measurement.
        while sink.queued() > 100_000 {
            thread::yield_now();
        }
    }
    client.flush()?;
    let (arrived, at) = reader.arrives(LINES)?;
    let now = [cpu_of_this_thread(), cpu_of(&sending), reader.cpu()];
    let [this, sender, worker] = [0, 1, 2].map(|at| now[at] - cpu[at]);
    eprintln!("sdk: of {LINES} lines over UDP {arrived} have arrived");
    let program = this + sender;
    Ok(Way { arrived, took: at - begun, program, sender, broker: Duration::ZERO, worker })
}
