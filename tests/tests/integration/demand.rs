//! A level without a subscriber costs nothing: it is measured once a worker subscribes, and no
//! longer when the worker has stopped.

use std::process::Command;
use std::time::{Duration, Instant};
use zibrato::{Guard, Zibrato, count};
use zibrato_tests::{Broker, DEADLINE, Running, Signal, program, wait_until};

/// Maximum time until a wanted measurement arrives.
const SOON: Duration = Duration::from_secs(2);

/// Number of counts at a time.
const COUNTS: u64 = 10;

/// Counts, and returns how many counts were recorded: all or none.
#[track_caller]
fn counted(guard: &Guard) -> u64 {
    let before = guard.handle().stats().recorded;
    for _ in 0..COUNTS {
        count!("debug", "demand");
    }
    let recorded = guard.handle().stats().recorded - before;
    assert!(recorded == COUNTS || recorded == 0, "{recorded} of {COUNTS}");
    recorded
}

fn tail(broker: &Broker) -> Running {
    let mut command = Command::new(program("zibrato-tail"));
    command.arg("--port").arg(broker.publishing_port().to_string());
    Running::start(command.args(["--levels", "debug", "--json"]))
}

/// The sum of the printed counts.
fn printed(tail: &Running) -> u64 {
    let output = tail.output();
    let whole = output.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let objects =
        whole.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    objects.map(|object| object["value"].as_f64().unwrap() as u64).sum()
}

#[test]
fn a_level_is_measured_only_while_a_worker_wants_it() {
    let broker = Broker::start();
    // With the usual interval, because the time that it takes counts.
    let guard = Zibrato::builder().port(broker.port()).source("demand").install().unwrap();
    wait_until(DEADLINE, "the level to be switched off", || counted(&guard) == 0);

    for turn in 1..=2 {
        assert_eq!(counted(&guard), 0);
        let before = guard.handle().flush(DEADLINE).recorded;
        let begun = Instant::now();
        let mut tail = tail(&broker);
        wait_until(SOON, "counts at the worker", || {
            counted(&guard);
            printed(&tail) > 0
        });
        println!("turn {turn}: counts after {:?}", begun.elapsed());
        // From now on, every count is recorded and arrives.
        (0..1000).for_each(|_| assert_eq!(counted(&guard), COUNTS));
        let stats = guard.handle().flush(DEADLINE);
        assert_eq!(stats.delivered, stats.recorded);
        let wanted = stats.recorded - before;
        wait_until(DEADLINE, "all counts at the worker", || printed(&tail) >= wanted);
        assert_eq!(printed(&tail), wanted);

        assert_eq!(tail.stop(Signal::TERM).code(), Some(0));
        let begun = Instant::now();
        wait_until(DEADLINE, "the site to be cheap again", || counted(&guard) == 0);
        println!("turn {turn}: no more after {:?}", begun.elapsed());
        (0..1000).for_each(|_| assert_eq!(counted(&guard), 0));
    }
    let stats = guard.shutdown();
    assert!(stats.balances() && stats.pending == 0 && stats.total_lost() == 0, "{stats:?}");
}
