//! The programs of docs/recipes.md deliver exactly what they measured.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail so")]

mod http_service;
mod prefork_server;
mod programs;
mod requests;

use std::path::PathBuf;
use std::process::Command;
use zibrato::Zibrato;
use zibrato_broker::{Broker, Config, End};
use zibrato_tests::{DEADLINE, Received, program, wait_until};

/// A broker, and a subscriber that receives everything that passes through it.
struct Stage {
    broker: Broker,
    subscriber: zmq::Socket,
    received: Received,
}

impl Stage {
    fn set() -> Self {
        let broker = Broker::start(Config::new().port(0)).unwrap();
        let subscriber = Received::subscriber(&broker.endpoint(broker.publish_port()));
        wait_until(DEADLINE, "the subscription", || broker.wanted().wants("any"));
        Self { broker, subscriber, received: Received::default() }
    }

    /// A recipe, which delivers to this broker.
    fn recipe(&self, name: &str) -> Command {
        recipe(name, self.broker.port())
    }

    /// Waits until a program has delivered this.
    #[track_caller]
    fn waits_for(&mut self, what: &str, delivered: impl Fn(&Received) -> bool) {
        wait_until(DEADLINE, what, || {
            self.received.read(&self.subscriber);
            delivered(&self.received)
        });
    }

    /// Everything that was delivered, when all programs have ended.
    #[track_caller]
    fn received(mut self) -> Received {
        // Everything that the programs have sent is queued before this.
        let last = Zibrato::builder().port(self.broker.port()).build().unwrap();
        last.count(Received::LAST, "last", 1);
        assert_eq!(last.flush(DEADLINE).delivered, 1);
        while self.received.read(&self.subscriber) != Received::LAST {}
        assert_eq!(self.broker.stop(DEADLINE).end, End::Clean);
        self.received
    }
}

fn recipe(name: &str, port: u16) -> Command {
    let mut command = Command::new(program(name));
    command.env("ZIBRATO_PORT", port.to_string());
    command
}

/// The text of a recipe.
fn source(name: &str) -> String {
    let path: PathBuf = zibrato_tests::repository().join(format!("examples/src/bin/{name}.rs"));
    std::fs::read_to_string(path).unwrap()
}
