//! Whatever threads and processes a program starts, and whenever they end or flush, the sum of the
//! received measurements equals the sum of the recorded ones.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;
use zibrato_tests::{Broker, DEADLINE, Room, Running, Signal, Witness, wait_until};

const WALKS: u32 = 100;

/// The names that `walking` uses, by the letter of the step.
const NAMES: [(char, &str); 6] = [
    ('c', "walk.count"),
    ('a', "walk.amount"),
    ('t', "walk.time"),
    ('g', "walk.gauge"),
    ('n', "walk.named"),
    ('k', "walk.kept"),
];

#[derive(Debug, Clone)]
enum Step {
    Measure(usize, u64),
    Flush,
    Join,
    Thread(Vec<Self>),
    Process(Vec<Self>),
}

fn plan() -> impl Strategy<Value = Vec<Step>> {
    let leaf = prop_oneof![
        6 => (0..NAMES.len(), 0..200_u64).prop_map(|(what, times)| Step::Measure(what, times)),
        1 => Just(Step::Flush),
        1 => Just(Step::Join),
    ];
    let step = leaf.prop_recursive(3, 40, 6, |step| {
        let inner = prop::collection::vec(step, 0..6);
        prop_oneof![inner.clone().prop_map(Step::Thread), inner.prop_map(Step::Process)]
    });
    prop::collection::vec(step, 1..10)
}

/// Writes the plan as words of the program, and adds up the expected sums.
fn words(plan: &[Step], text: &mut String, made: &mut BTreeMap<&'static str, f64>) {
    for step in plan {
        let (open, inner) = match step {
            Step::Measure(what, times) => {
                let (letter, name) = NAMES[*what];
                write!(text, "{letter}{times} ").unwrap();
                let amounts = (0..*times).map(|n| if letter == 'a' { n as f64 - 3.0 } else { 1.0 });
                *made.entry(name).or_default() += amounts.sum::<f64>();
                continue;
            }
            Step::Flush => ("f ", None),
            Step::Join => ("j ", None),
            Step::Thread(inner) => ("s [ ", Some(inner)),
            Step::Process(inner) => ("p [ ", Some(inner)),
        };
        text.push_str(open);
        if let Some(inner) = inner {
            words(inner, text, made);
            text.push_str("] ");
        }
    }
}

#[test]
fn received_measurements_equal_recorded_ones_for_any_threads_and_processes() {
    let mut broker = Broker::start();
    let witness = Witness::subscribe(broker.publishing_port(), Room::Plenty);
    let subscribed = "zibrato_broker_subscriptions";
    wait_until(DEADLINE, "the subscription", || broker.metric(subscribed) > 0.0);
    let made = RefCell::new(BTreeMap::<&str, f64>::new());
    // A failed run leaves unknown sums, so failures are not shrunk.
    let config = Config {
        cases: WALKS,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..Config::default()
    };
    let arrived = || {
        let made = made.borrow();
        made.iter().all(|(name, sum)| witness.total("info", name) == *sum)
    };
    let walked = TestRunner::new(config).run(&plan(), |plan| {
        let mut text = String::new();
        words(&plan, &mut text, &mut made.borrow_mut());
        let mut command = Command::new(env!("CARGO_BIN_EXE_walking"));
        let command = command.arg(broker.port().to_string()).arg(text);
        let (status, _, log) = Running::run(command);
        prop_assert_eq!(status.code(), Some(0), "{}", log);
        wait_until(DEADLINE, "all measurements", arrived);
        Ok(())
    });
    walked.unwrap();
    println!("{WALKS} walks made {:?}", made.borrow());
    // And nothing more arrives.
    assert_eq!(broker.stop(Signal::QUIT).code(), Some(0));
    witness.outlives(1);
    assert!(arrived());
}
