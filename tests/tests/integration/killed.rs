//! A broker that is killed and restarted under load: it loses only the batches that it held, and
//! nothing is counted twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zibrato::{Guard, Stats, Zibrato, count, time};
use zibrato_tests::{Broker, Carbon, DEADLINE, Life, Room, Signal, Stream, Witness, wait_until};

const KILLS: usize = 20;
const STOPS: usize = 10;
const THREADS: u64 = 8;
const LEVELS: [&str; 4] = ["debug", "info", "warn", "billing"];

/// Number of batches of each level that a broker accepts before it ends.
const BATCHES: usize = 4;

/// Number of batches that are published while a worker does not read, and of names in each: more
/// than fits into the system's buffers.
const LAGGING: u64 = 150;
const NAMES: u64 = 3000;

/// The batches that a worker received, and the readings that the program recorded.
struct Outcome {
    lives: Vec<Life>,
    /// For each end of the broker: the number of readings that it had acknowledged.
    delivered: Vec<u64>,
    stats: Stats,
    made: u64,
}

#[test]
fn a_killed_broker_loses_nothing_for_readers_and_only_held_batches_for_subscribers() {
    let (outcome, carbon) = end_repeatedly(KILLS, Signal::KILL);
    // A subscriber may miss batches that the broker was about to publish; a reader of the journal
    // misses nothing.
    let held = judge(&outcome);
    let taken = taken(&outcome.lives);
    assert!(if held == 0 { taken == outcome.made as f64 } else { taken < outcome.made as f64 });
    assert_eq!(carbon, outcome.made as f64 / 2.0);
}

#[test]
fn a_broker_that_is_stopped_repeatedly_loses_nothing() {
    let (outcome, carbon) = end_repeatedly(STOPS, Signal::QUIT);
    assert_eq!(judge(&outcome), 0);
    assert_eq!(taken(&outcome.lives), outcome.made as f64);
    assert_eq!(carbon, outcome.made as f64 / 2.0);
}

#[test]
fn a_killed_broker_loses_exactly_the_batches_queued_for_a_slow_worker() {
    let mut broker = Broker::start_with(&["--no-journal"]);
    let witness = Witness::subscribe(broker.publishing_port(), Room::Little);
    // Only a flush creates a batch, so that each contains all names.
    let rarely = Duration::from_secs(3600);
    let z = Zibrato::builder().port(broker.port()).interval(rarely).build().unwrap();
    let names: Vec<_> =
        (0..NAMES).map(|name| format!("a.name.that.takes.some.room.{name}")).collect();
    let batch = || {
        names.iter().for_each(|name| z.count("info", name, 1));
        z.flush(DEADLINE);
    };
    let mut delivered = Vec::new();
    for number in 1..=3 {
        batch();
        wait_until(DEADLINE, "a batch", || witness.now(|life| !life.sequences.is_empty()));
        witness.pause();
        (0..LAGGING).for_each(|_| batch());
        broker.stop(Signal::KILL);
        witness.resume();
        witness.outlives(number);
        delivered.push(z.stats().delivered);
        broker.restart();
    }
    batch();
    let (stats, made) = (z.stats(), 3 * (LAGGING + 1) * NAMES + NAMES);
    end(&mut broker, Signal::QUIT);
    witness.outlives(4);
    let outcome = Outcome { lives: witness.lives(), delivered, stats, made };
    let held = judge(&outcome);
    assert!(held > 0, "nothing waited for the worker");
    assert_eq!(taken(&outcome.lives), (made - held * NAMES) as f64);
}

/// Eight threads count and time while the broker ends and restarts repeatedly. Also returns the sum
/// of the counts that a real worker delivered; counts are half of all readings.
fn end_repeatedly(ends: usize, signal: Signal) -> (Outcome, f64) {
    let (mut carbon, mut broker) = (Carbon::start(), Broker::start());
    let address = format!("127.0.0.1:{}", carbon.port());
    let mut worker = broker.worker(
        "zibrato-carbon",
        &["--levels", &LEVELS.join(","), "--flush", "1", "--carbon", &address],
    );
    let witness = Witness::subscribe(broker.publishing_port(), Room::Plenty);
    let builder = Zibrato::builder().port(broker.port()).source("killed");
    let guard = builder.interval(Duration::from_millis(20)).install().unwrap();
    let stop = AtomicBool::new(false);
    let (made, delivered) = std::thread::scope(|scope| {
        // If an assertion fails here, the threads must end nevertheless.
        let stop = StopOnDrop(&stop);
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| measure(stop.0))).collect();
        let delivered = (1..=ends).map(|number| {
            wait_until(DEADLINE, "traffic of all levels", || witness.now(is_busy));
            // Each time at another moment of an interval.
            std::thread::park_timeout(Duration::from_millis(number as u64 * 7 % 20));
            end(&mut broker, signal);
            witness.outlives(number);
            let delivered = guard.handle().stats().delivered;
            broker.restart();
            delivered
        });
        let delivered: Vec<_> = delivered.collect();
        wait_until(DEADLINE, "traffic of all levels", || witness.now(is_busy));
        drop(stop);
        (threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>(), delivered)
    });
    let stats = flush(guard);
    let sum = |carbon: &Carbon| -> f64 {
        LEVELS.iter().map(|level| carbon.sum(&format!("killed.{level}.count"))).sum()
    };
    wait_until(DEADLINE, "the last window", || sum(&carbon) >= made as f64 / 2.0);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    // The broker has published everything when it ends.
    end(&mut broker, Signal::QUIT);
    witness.outlives(ends + 1);
    settle(&mut carbon);
    let carbon = sum(&carbon);
    (Outcome { lives: witness.lives(), delivered, stats, made }, carbon)
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counts and times at each level, equally often, until stopped; returns the number of readings.
fn measure(stop: &AtomicBool) -> u64 {
    let mut made = 0;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..100 {
            count!("debug", "debug.count");
            count!("info", "info.count");
            count!("warn", "warn.count");
            count!("billing", "billing.count");
            time!("debug", "debug.time", ());
            time!("info", "info.time", ());
            time!("warn", "warn.time", ());
            time!("billing", "billing.time", ());
            made += 8;
        }
        // Leaves CPU time for the other threads.
        std::thread::park_timeout(Duration::from_millis(1));
    }
    made
}

/// Whether a worker has received enough batches of every level in this life.
fn is_busy(life: &Life) -> bool {
    let batches = |level: &&str| {
        life.sequences.iter().any(|((_, l), sequences)| l == level && sequences.len() >= BATCHES)
    };
    LEVELS.iter().all(batches)
}

fn end(broker: &mut Broker, signal: Signal) {
    let status = broker.stop(signal);
    if signal != Signal::KILL {
        assert_eq!(status.code(), Some(0));
    }
}

/// Stops it once it has processed everything that was sent before.
fn settle(carbon: &mut Carbon) {
    let mut stream = TcpStream::connect(("127.0.0.1", carbon.port())).unwrap();
    writeln!(stream, "last 1 {}", zibrato::clock::unix_ms() / 1000).unwrap();
    wait_until(DEADLINE, "Carbon to write", || carbon.metrics().contains(&"last".to_owned()));
    carbon.stop();
}

/// The statistics after the last count.
fn flush(guard: Guard) -> Stats {
    let stats = guard.handle().flush(DEADLINE);
    assert!(stats.balances(), "{stats:?}");
    assert_eq!((stats.pending, stats.unconfirmed, stats.total_lost()), (0, 0, 0), "{stats:?}");
    assert_eq!(stats.delivered, stats.recorded);
    assert_eq!(guard.shutdown(), stats);
    stats
}

/// Number of readings that a worker received from the program.
fn taken(lives: &[Life]) -> f64 {
    let all = lives.iter().flat_map(|life| &life.totals);
    all.filter(|((level, _), _)| LEVELS.contains(&&**level)).map(|(_, total)| total).sum()
}

/// Prints for each end of the broker which batches the worker is missing, and returns their number.
/// Fails if a batch is missing that the broker cannot have held when it ended.
#[track_caller]
#[expect(clippy::print_stdout, reason = "the report lists the losses for each kill")]
fn judge(outcome: &Outcome) -> u64 {
    assert_eq!(outcome.stats.recorded, outcome.made);
    let mut highest: BTreeMap<Stream, u64> = BTreeMap::new();
    let (mut all_short, mut sum) = (0, 0.0);
    let mut table =
        " end  batches  repeats  taken so far  acknowledged  held by the broker\n".to_owned();
    // The last life has not begun.
    let (_, lives) = outcome.lives.split_last().unwrap();
    for (at, life) in lives.iter().enumerate() {
        assert_eq!(life.strange, [""; 0]);
        // The broker numbers the batches that it publishes (with a journal, only those in the
        // journal). Without a gap, missing batches are from the end of its life: it had accepted
        // them, but not published them yet.
        let offsets: Vec<_> = life.offsets.iter().filter(|offset| **offset > 0).collect();
        assert!(offsets.is_sorted_by(|one, next| *one + 1 == **next), "life {at}: {offsets:?}");
        sum += taken(std::slice::from_ref(life));
        for (stream, sequences) in &life.sequences {
            assert!(
                sequences.is_sorted_by(|one, next| one + 1 == *next),
                "{stream:?} {sequences:?}"
            );
            highest.insert(stream.clone(), *sequences.last().unwrap());
        }
        // A publisher sends the next batch of a level once the previous one is acknowledged.
        let next = outcome.lives.get(at + 1).map(|next| &next.sequences);
        let mut held = Vec::new();
        for (stream, highest) in &highest {
            let first = next.and_then(|next| next.get(stream)?.first());
            if let Some(first) = first.filter(|first| **first > highest + 1) {
                held.push(format!("{} {} to {}", stream.1, highest + 1, first - 1));
                // Metrics about the program itself are not counted as readings.
                if LEVELS.contains(&&*stream.1) {
                    all_short += first - 1 - highest;
                }
            }
        }
        let acknowledged = outcome.delivered.get(at).copied().unwrap_or(outcome.stats.delivered);
        let held = if held.is_empty() { "nothing".to_owned() } else { held.join(", ") };
        writeln!(
            table,
            "{:>4} {:>8} {:>8} {sum:>13} {acknowledged:>13}  {held}",
            at + 1,
            life.offsets.len(),
            life.repeats
        )
        .unwrap();
    }
    println!("{table}made {}, taken {sum}, {:?}", outcome.made, outcome.stats);
    all_short
}
