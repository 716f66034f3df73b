//! The project's own supervisord file, run by a real supervisord: all start, traffic flows, and
//! stopping the workers and then the broker in the middle of it loses nothing that was accepted.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zibrato::Zibrato;
use zibrato::wire::{BatchReader, Message, Value, batch_topic, message};
use zibrato_tests::fake::{FakeLibrato, FakeSlack};
use zibrato_tests::{
    BACKENDS, Carbon, DEADLINE, Ports, Supervisord, program, repository, wait_until,
};

#[test]
fn accepted_measurements_are_delivered_once_after_a_restart_of_everything() {
    let (carbon, ports) = (Carbon::start(), Ports::take());
    let (librato, slack) = (FakeLibrato::start().unwrap(), FakeSlack::start().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let environment = environment(folder.path(), &ports, &carbon, &librato, &slack);
    let environment: Vec<_> = environment.iter().map(|(k, v)| (&**k, &**v)).collect();
    let supervisord = Supervisord::start(&programs(folder.path()), &environment);
    supervisord.all(&["zibrato-broker"], "RUNNING");
    let workers = BACKENDS.map(|backend| format!("zibrato-workers:{}", backend.program));
    supervisord.all(&workers.each_ref().map(String::as_str), "RUNNING");
    for worker in BACKENDS.map(|backend| backend.name()) {
        wait_until(DEADLINE, "the workers to be connected", || {
            let log = fs::read_to_string(folder.path().join(format!("{worker}.log")));
            log.is_ok_and(|log| log.contains("broker_connected"))
        });
    }
    let witness = witness(ports.at(1));
    let builder = Zibrato::builder().port(ports.at(0)).source("web-1");
    let z = builder.interval(Duration::from_millis(50)).build().unwrap();

    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // If an assertion fails here, the threads must end nevertheless.
        let _ended = RaiseOnDrop(&ended);
        for _ in 0..2 {
            scope.spawn(|| publish(&z, &ended));
        }
        wait_until(DEADLINE, "traffic at Carbon", || carbon.sum("zibrato.web-1.logins") > 0.0);
        wait_until(DEADLINE, "traffic at Librato", || in_librato(&librato) > 0.0);
        wait_until(DEADLINE, "traffic at Slack", || in_slack(&slack) > 0.0);
        let stop = |what| supervisord.control(&["stop", what]);
        assert_eq!(stop("zibrato-workers:*").matches(": stopped\n").count(), BACKENDS.len());
        assert_eq!(stop("zibrato-broker"), "zibrato-broker: stopped\n");
        ended.store(true, Ordering::Relaxed);
    });
    let log = fs::read_to_string(supervisord.folder().join("log")).unwrap();
    for program in BACKENDS.map(|backend| backend.program).into_iter().chain(["zibrato-broker"]) {
        let stopped = format!("stopped: {program} (exit status 0)");
        assert!(log.contains(&stopped), "no {stopped:?} in\n{log}");
    }

    let accepted = accepted(&witness);
    let stats = z.stats();
    let total: f64 = accepted.values().sum();
    // Acknowledged batches were accepted; the last acknowledgement of an accepted batch may have
    // been lost.
    assert!(
        stats.delivered as f64 <= total && total <= stats.recorded as f64,
        "{stats:?}, {total}"
    );
    // Batches that were accepted after the workers stopped are only in the journal.
    assert!(in_librato(&librato) < accepted["info"]);
    drop(z);
    supervisord.control(&["start", "zibrato-broker", "zibrato-workers:*"]);
    wait_until(DEADLINE, "Carbon to write", || {
        carbon.sum("zibrato.web-1.logins") >= accepted["info"]
    });
    wait_until(DEADLINE, "Librato", || in_librato(&librato) >= accepted["info"]);
    wait_until(DEADLINE, "Slack", || in_slack(&slack) >= accepted["crit"]);
    supervisord.control(&["stop", "zibrato-workers:*"]);
    assert_eq!(carbon.sum("zibrato.web-1.logins"), accepted["info"]);
    assert_eq!(in_librato(&librato), accepted["info"]);
    assert_eq!(in_slack(&slack), accepted["crit"]);
}

#[test]
fn a_daemon_whose_configuration_is_invalid_is_started_once_and_others_again() {
    let (ports, folder) = (Ports::take(), tempfile::tempdir().unwrap());
    let (carbon, librato) = (Carbon::start(), FakeLibrato::start().unwrap());
    let slack = FakeSlack::start().unwrap();
    let environment = environment(folder.path(), &ports, &carbon, &librato, &slack);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let http = taken.local_addr().unwrap().to_string();
    let wrong = [
        ("ZIBRATO_BROKER_HTTP", &*http),
        ("ZIBRATO_CARBON_FLUSH", "soon"),
        ("ZIBRATO_SLACK_HOST", "no host"),
    ];
    let environment = environment.iter().map(|(k, v)| (&**k, &**v)).chain(wrong);
    let environment: Vec<_> = environment.collect();
    let supervisord = Supervisord::start(&programs(folder.path()), &environment);
    let invalid = ["zibrato-workers:zibrato-carbon", "zibrato-workers:zibrato-slack"];
    supervisord.all(&invalid, "EXITED");
    let log = || fs::read_to_string(supervisord.folder().join("log")).unwrap();
    let count = |text: &str| log().matches(text).count();
    wait_until(DEADLINE, "the broker to be started again", || {
        count("exited: zibrato-broker (exit status 69; not expected)") >= 3
    });
    for program in ["zibrato-carbon", "zibrato-slack"] {
        let exit = format!("exited: {program} (exit status 78; expected)");
        let spawned = format!("spawned: '{program}'");
        assert_eq!((count(&spawned), count(&exit)), (1, 1), "{}", log());
    }
    drop(taken);
    supervisord.all(&["zibrato-broker"], "RUNNING");
    supervisord.all(&invalid, "EXITED");
}

/// The project's own file, with other paths, and with the user of this test.
fn programs(logs: &std::path::Path) -> String {
    let whoami = Command::new("id").arg("-un").output().unwrap().stdout;
    let file = repository().join("examples/supervisord/zibrato.conf");
    let config = repository().join("examples/config");
    let text = fs::read_to_string(file).unwrap();
    let text = text.replace("/var/log/zibrato", logs.to_str().unwrap());
    let text = text.replace("/etc/zibrato", config.to_str().unwrap());
    let text = text.replace("/var/lib/zibrato", logs.join("state").to_str().unwrap());
    text.replace("user=zibrato", &format!("user={}", String::from_utf8(whoami).unwrap().trim()))
}

/// Other ports, other addresses and a shorter window than the files in `examples/config` name.
fn environment(
    folder: &std::path::Path,
    ports: &Ports,
    carbon: &Carbon,
    librato: &FakeLibrato,
    slack: &FakeSlack,
) -> Vec<(String, String)> {
    let (token, webhook) = (folder.join("token"), folder.join("webhook"));
    fs::write(&token, FakeLibrato::APITOKEN).unwrap();
    fs::write(&webhook, slack.webhook_url()).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let programs = program("zibrato-broker").parent().unwrap().display().to_string();
    let publishing = ports.at(1).to_string();
    let mut variables: Vec<_> = [
        ("PATH", format!("{programs}:{path}")),
        ("ZIBRATO_BROKER_PORT", ports.at(0).to_string()),
        // The free space on a test machine does not matter.
        ("ZIBRATO_BROKER_JOURNAL_MIN_FREE", "0".to_owned()),
        ("ZIBRATO_BROKER_HTTP", format!("127.0.0.1:{}", ports.at(4))),
        ("ZIBRATO_CARBON_CARBON", format!("127.0.0.1:{}", carbon.port())),
        ("ZIBRATO_LIBRATO_API_URL", librato.url()),
        ("ZIBRATO_LIBRATO_USERNAME", FakeLibrato::USERNAME.to_owned()),
        ("ZIBRATO_LIBRATO_APITOKEN_FILE", token.display().to_string()),
        ("ZIBRATO_SLACK_PACE", "0.1".to_owned()),
        ("ZIBRATO_SLACK_WEBHOOK_URL_FILE", webhook.display().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for backend in BACKENDS {
        let prefix = format!("ZIBRATO_{}", backend.name().to_uppercase());
        variables.push((format!("{prefix}_PORT"), publishing.clone()));
        variables.push((format!("{prefix}_FLUSH"), "1".to_owned()));
    }
    variables
}

struct RaiseOnDrop<'a>(&'a AtomicBool);

impl Drop for RaiseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counts until stopped.
fn publish(z: &Zibrato, ended: &AtomicBool) {
    let mut turn = 0_u32;
    while !ended.load(Ordering::Relaxed) {
        z.count("info", "logins", 1);
        turn += 1;
        if turn.is_multiple_of(100) {
            z.count("crit", "alarms", 1);
            // Generates traffic, not a benchmark.
            std::thread::park_timeout(Duration::from_micros(200));
        }
    }
}

/// A subscriber with an unlimited queue.
fn witness(port: u16) -> zmq::Socket {
    let socket = zmq::Context::new().socket(zmq::SUB).unwrap();
    socket.set_rcvhwm(0).unwrap();
    for level in ["info", "crit"] {
        socket.set_subscribe(batch_topic(level).as_bytes()).unwrap();
    }
    socket.connect(&format!("tcp://127.0.0.1:{port}")).unwrap();
    // A message from the broker shows that it has received the subscriptions sent before.
    socket.set_subscribe(b"zb!levels").unwrap();
    socket.set_rcvtimeo(10_000).unwrap();
    assert!(socket.recv_multipart(0).unwrap()[0].starts_with(b"zb!levels"));
    socket
}

/// The sums that the broker published, by level, read after it has ended.
fn accepted(witness: &zmq::Socket) -> BTreeMap<String, f64> {
    witness.set_rcvtimeo(1_000).unwrap();
    let mut sums = BTreeMap::new();
    while let Ok(frames) = witness.recv_multipart(0) {
        if frames[0].starts_with(b"zb!") {
            continue;
        }
        let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
        let Ok(Message::Batch { level, body, .. }) = message(&frames) else { panic!("no batch") };
        for entry in BatchReader::new(body).unwrap().entries() {
            let Value::Counter(sum) = entry.unwrap().value else { continue };
            *sums.entry(level.to_owned()).or_insert(0.0) += sum;
        }
    }
    sums
}

fn in_librato(librato: &FakeLibrato) -> f64 {
    let gauges = librato.gauges();
    let logins = gauges.get(&("web-1".to_owned(), "logins".to_owned()));
    logins.map_or(0.0, |times| times.values().map(|total| total.sum).sum())
}

/// The sum in the messages: `*alarms* _web-1_ ˋ▁▂ˋ 1,012 (12/s)`.
fn in_slack(slack: &FakeSlack) -> f64 {
    let mut sum = 0.0;
    for message in slack.messages() {
        for block in message.blocks.as_array().into_iter().flatten() {
            let text = block["text"]["text"].as_str().unwrap_or_default();
            if text.starts_with("*alarms* _web-1_ ") {
                let (_, values) = text.rsplit_once("` ").unwrap();
                let (value, _) = values.split_once(' ').unwrap();
                sum += value.replace(',', "").parse::<f64>().unwrap();
            }
        }
    }
    sum
}
