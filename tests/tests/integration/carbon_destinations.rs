//! `zibrato-carbon` with several destinations: real Carbons, a real carbon-relay, and the hashes of
//! Carbon's own code.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use zibrato::Zibrato;
use zibrato_tests::{Broker, Carbon, DEADLINE, Ports, Running, Signal, wait_until};
use zibrato_workers::carbon::{HashType, RelayMethod, Router};

/// The name of the only metric of these tests in Carbon.
const LOGINS: &str = "web-1.logins";

/// Reads a configuration from the arguments and names from the input, and prints the destinations of
/// each name.
const CHOOSE: &str = "
import sys
from carbon.routers import ConsistentHashingRouter
class Settings:
    REPLICATION_FACTOR = int(sys.argv[1])
    DIVERSE_REPLICAS = sys.argv[2] == 'yes'
    ROUTER_HASH_TYPE = sys.argv[3]
router = ConsistentHashingRouter(Settings())
for text in sys.argv[4:]:
    host, port, *instance = text.split(':')
    router.addDestination((host, int(port), instance[0] if instance else None))
for name in sys.stdin.read().split():
    all = [':'.join(str(part) for part in one if part is not None) for one in router.getDestinations(name)]
    print(name, *all)
";

#[test]
fn names_are_hashed_to_the_destinations_that_carbon_chooses() {
    let names: Vec<_> =
        (0..10_000).map(|n| format!("hosts.web-{}.requests.{n};dc=fra", n % 37)).collect();
    let all = ["g1:2004:a", "g2:2004:b", "g2:2104:c", "g3:2004:d", "10.0.0.4:2004:e"];
    let mut compared = 0;
    for (count, factor) in [(2, 1), (2, 2), (3, 1), (3, 2), (5, 1), (5, 2)] {
        for (hash, word) in [(HashType::Carbon, "carbon_ch"), (HashType::Fnv1a, "fnv1a_ch")] {
            for (diverse, said) in [(true, "yes"), (false, "no")] {
                let destinations = &all[..count];
                let mut python = Command::new("/usr/bin/python3");
                python.args(["-c", CHOOSE, &factor.to_string(), said, word]).args(destinations);
                let (status, output, log) = Running::run_with(&mut python, &names.join("\n"));
                assert!(status.success(), "{log}");
                let method = RelayMethod::ConsistentHashing;
                let router =
                    Router::hashed(destinations, method, Some(hash), factor, diverse).unwrap();
                for line in output.lines() {
                    let (name, expected) = line.split_once(' ').unwrap();
                    assert_eq!(
                        router.of(name).join(" "),
                        expected,
                        "{name} {count} {factor} {word}"
                    );
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 24 * names.len());
}

#[test]
fn a_destination_that_is_down_does_not_delay_the_others_and_gets_everything_later() {
    let (mut carbons, broker) = ([Carbon::start(), Carbon::start()], Broker::start());
    let port = broker.worker_http_port();
    let to = carbons.each_ref().map(|carbon| format!("127.0.0.1:{}", carbon.port()));
    let http = format!("127.0.0.1:{port}");
    let args = ["--flush", "1", "--carbon", &to.join(","), "--http", &http, "--backoff-max", "1"];
    let mut worker = broker.worker("zibrato-carbon", &args);
    let z = publisher(&broker);
    z.count("info", "logins", 1);
    for carbon in &carbons {
        wait_until(DEADLINE, "the first count", || carbon.sum(LOGINS) == 1.0);
    }
    carbons[0].stop();
    // More windows than the queue of a worker holds.
    for round in 1..=8_u32 {
        z.count("info", "logins", 10);
        assert_eq!(z.flush(DEADLINE).pending, 0);
        let expected = f64::from(1 + 10 * round);
        wait_until(DEADLINE, "the other Carbon", || carbons[1].sum(LOGINS) == expected);
    }
    let page = Broker::page_at(port, "/readyz");
    let trouble = format!("\n{}: ", to[0]);
    assert!(page.contains(&trouble) && page.contains(&format!("; {}: ready", to[1])), "{page}");
    let metrics = Broker::page_at(port, "/metrics");
    for (address, ready) in to.iter().zip([0, 1]) {
        let line = format!("\nzibrato_worker_ready{{destination=\"{address}\"}} {ready}\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    worker.says(&["event=\"retry\"", &format!("to{{destination=\"{}\"}}", to[0])]);
    carbons[0].restart();
    wait_until(DEADLINE, "all counts", || carbons[0].sum(LOGINS) == 81.0);
    wait_until(DEADLINE, "readiness", || Broker::page_at(port, "/readyz").contains("200 OK"));
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    assert_eq!(carbons.map(|carbon| carbon.sum(LOGINS)), [81.0, 81.0]);
}

/// How long Carbons are killed, in seconds, if it is longer than a moment.
const SECONDS: &str = "ZIBRATO_TEST_KILL_SECONDS";

#[test]
fn carbons_that_are_killed_at_random_miss_nothing_and_the_others_never_wait() {
    let seconds: u64 = std::env::var(SECONDS).map_or(10, |text| text.parse().unwrap());
    let broker = Broker::start();
    let mut carbons = [Carbon::start(), Carbon::start(), Carbon::start()];
    let to = carbons.each_ref().map(|carbon| format!("127.0.0.1:{}", carbon.port())).join(",");
    let args = ["--flush", "1", "--carbon", &to, "--backoff-max", "1", "--reconnect-delay", "0.1"];
    let mut worker = broker.worker("zibrato-carbon", &args);
    let z = publisher(&broker);
    let (begun, mut round, mut dice) = (Instant::now(), 0_u32, 0x2545_f491_4f6c_dd1d_u64);
    while begun.elapsed() < Duration::from_secs(seconds) || round < 3 {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let victim = usize::try_from(dice % 3).unwrap();
        carbons[victim].kill();
        for _ in 0..1_000 {
            z.count("info", "logins", 1);
            z.time("info", "db.query", Duration::from_millis(1));
        }
        assert_eq!(z.flush(DEADLINE).pending, 0);
        round += 1;
        let expected = f64::from(round) * 1_000.0;
        for (at, carbon) in carbons.iter().enumerate().filter(|(at, _)| *at != victim) {
            wait_until(DEADLINE, &format!("Carbon {at} in round {round}"), || {
                carbon.sum(LOGINS) == expected
            });
        }
        carbons[victim].restart();
    }
    let expected = f64::from(round) * 1_000.0;
    for carbon in &carbons {
        wait_until(DEADLINE * 2, "all points", || {
            carbon.sum(LOGINS) == expected && carbon.sum("web-1.db.query.count") == expected
        });
    }
    eprintln!("{round} kills, {expected} counts on each of 3 Carbons");
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn series_go_where_a_carbon_relay_sends_them() {
    let broker = Broker::start();
    let carbons = [Carbon::start(), Carbon::start(), Carbon::start()];
    let destinations: Vec<_> = carbons
        .iter()
        .zip(["a", "b", "c"])
        .map(|(carbon, instance)| format!("127.0.0.1:{}:{instance}", carbon.pickle_port()))
        .collect();
    let ports = Ports::take();
    let folder = TempDir::new().unwrap();
    let mut relay = relay(&folder, &ports, &destinations.join(", "));
    let own: Vec<_> = destinations.iter().map(|one| format!("pickle://{one}")).collect();
    let hashing = ["--relay-method", "consistent-hashing", "--prefix", "x"];
    let mut workers = [
        broker.worker(
            "zibrato-carbon",
            &[&["--flush", "1", "--carbon", &own.join(",")], &hashing[..]].concat(),
        ),
        broker.worker(
            "zibrato-carbon",
            &[
                "--flush",
                "1",
                "--name",
                "relayed",
                "--prefix",
                "x",
                "--postfix",
                "relayed",
                "--carbon",
                &format!("127.0.0.1:{}", ports.at(0)),
            ],
        ),
    ];
    // The relay hashes other names than the worker, so the names that it gets are compared with the
    // choice of the product for these names.
    let z = publisher(&broker);
    for n in 0..200_u32 {
        z.count("info", &format!("n{n}"), n + 1);
    }
    assert_eq!(z.flush(DEADLINE).pending, 0);
    let named = |relayed: bool| {
        let of = |carbon: &Carbon| {
            let all = carbon.metrics().into_iter();
            all.filter(|name| {
                name.starts_with("x.web-1.n") && name.ends_with(".relayed") == relayed
            })
            .collect::<Vec<_>>()
        };
        carbons.iter().map(of).collect::<Vec<_>>()
    };
    for relayed in [false, true] {
        wait_until(DEADLINE, "all names", || named(relayed).iter().flatten().count() == 200);
    }
    let texts: Vec<_> = destinations.iter().map(|text| &**text).collect();
    let router = Router::hashed(&texts, RelayMethod::ConsistentHashing, None, 1, true).unwrap();
    for relayed in [false, true] {
        let mut placed = BTreeMap::new();
        for (names, destination) in named(relayed).into_iter().zip(&destinations) {
            assert!(names.len() > 20, "{names:?}");
            for name in names {
                assert_eq!(router.of(&name), [&**destination], "{name}");
                assert!(placed.insert(name, destination).is_none());
            }
        }
    }
    for worker in &mut workers {
        assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    }
    relay.stop(Signal::TERM);
}

/// Starts Debian's carbon-relay on the first port.
fn relay(folder: &TempDir, ports: &Ports, destinations: &str) -> Running {
    let here = folder.path().display();
    let (line, pickle) = (ports.at(0), ports.at(1));
    let text = format!(
        "[relay]\nSTORAGE_DIR = {here}/\nCONF_DIR = {here}/\nLOG_DIR = {here}/\nPID_DIR = {here}/\nUSER =\n\
         LINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = {line}\n\
         PICKLE_RECEIVER_INTERFACE = 127.0.0.1\nPICKLE_RECEIVER_PORT = {pickle}\n\
         RELAY_METHOD = consistent-hashing\nREPLICATION_FACTOR = 1\n\
         DESTINATIONS = {destinations}\nENABLE_LOGROTATION = False\n"
    );
    std::fs::write(folder.path().join("carbon.conf"), text).unwrap();
    // It is not used, but has to be there.
    let schemas = "[all]\npattern = .*\nretentions = 1s:1h\n";
    std::fs::write(folder.path().join("storage-schemas.conf"), schemas).unwrap();
    let mut command = Command::new("/usr/bin/carbon-relay");
    command.args(["--nodaemon", "--config"]).arg(folder.path().join("carbon.conf"));
    command.arg("--pidfile").arg(folder.path().join("pid")).arg("start");
    command.env("GRAPHITE_ROOT", folder.path());
    let mut running = Running::start(&mut command);
    running.listens(line);
    running
}

#[test]
fn rules_say_where_series_go() {
    let (carbons, broker) = ([Carbon::start(), Carbon::start()], Broker::start());
    let to = carbons.each_ref().map(|carbon| format!("127.0.0.1:{}", carbon.port()));
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("relay-rules.conf");
    let rules = format!(
        "# Everything goes to the second, and database queries to both.\n\
         [queries]\npattern = \\.DB\\.\ndestinations = {}\ncontinue = true\n\
         [default]\ndefault = true\ndestinations = {}\n",
        to[0], to[1]
    );
    std::fs::write(&file, rules).unwrap();
    let file = file.display().to_string();
    let args = ["--flush", "1", "--relay-method", "rules", "--relay-rules", &file];
    let mut worker = broker
        .worker("zibrato-carbon", &[&args[..], &["--carbon", &to[0], "--carbon", &to[1]]].concat());
    let z = publisher(&broker);
    z.count("info", "logins", 3);
    z.count("info", "db.queries", 4);
    assert_eq!(z.flush(DEADLINE).pending, 0);
    wait_until(DEADLINE, "the default", || carbons[1].sum(LOGINS) == 3.0);
    for carbon in &carbons {
        wait_until(DEADLINE, "queries", || carbon.sum("web-1.db.queries") == 4.0);
    }
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    assert_eq!(carbons[0].metrics(), ["web-1.db.queries"]);
}

#[test]
fn two_ports_of_a_host_without_instances_are_refused() {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(zibrato_tests::program("zibrato-carbon"));
    command.env("HOME", folder.path());
    command.args(["--relay-method", "consistent-hashing", "--carbon", "g1:2004,g1:2104"]);
    let (status, _, log) = Running::run(&mut command);
    assert_eq!(status.code(), Some(78), "{log}");
    assert!(log.contains("such as g1:2004:a and g1:2104:b"), "{log}");
}

fn publisher(broker: &Broker) -> Zibrato {
    let builder = Zibrato::builder().port(broker.port()).source("web-1");
    builder.interval(Duration::from_millis(100)).build().unwrap()
}
