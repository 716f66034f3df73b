//! Invalid input is rejected with a clear message, or dropped and counted; nothing else is
//! affected.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;
use zibrato::Zibrato;
use zibrato::wire::{BatchId, BatchWriter, PublisherId, Stamp, WantedLevels, batch_topic};
use zibrato_tests::{Broker, Carbon, DEADLINE, Ports, Running, Signal, program, wait_until};

/// Invalid command lines: the program, its flags, its exit code, and parts of its message.
const STARTS: [(&str, &[&str], i32, &[&str]); 14] = [
    ("zibrato-broker", &["--host", "nowhere.invalid"], 78, &["nowhere.invalid", "--host"]),
    ("zibrato-broker", &["--host", "0.0.0.0"], 78, &["0.0.0.0", "--insecure"]),
    ("zibrato-broker", &["--port", "65534"], 64, &["'65534'", "--port <PORT>", "65532"]),
    ("zibrato-broker", &["--http", "nowhere"], 64, &["'nowhere'", "--http", "127.0.0.1:5580"]),
    ("zibrato-broker", &["--lisen", "x"], 64, &["--lisen"]),
    ("zibrato-carbon", &["--levels", "info,a|b"], 64, &["\"a|b\"", "`|`", "--levels"]),
    ("zibrato-carbon", &["--levels", ""], 64, &["no level is given", "--levels info,warn"]),
    ("zibrato-carbon", &["--levels", "zb1"], 64, &["\"zb1\"", "reserved for the protocol"]),
    ("zibrato-carbon", &["--flush", "0"], 64, &["'0'", "--flush <SECONDS>", "`--flush 60`"]),
    ("zibrato-carbon", &["--carbon", "graphite"], 64, &["`graphite`", "host:port"]),
    ("zibrato-carbon", &["--config", "nowhere.toml"], 78, &["nowhere.toml", "No such file"]),
    ("zibrato-librato", &[], 78, &["no user name", "--username"]),
    ("zibrato-librato", &["--username", "a"], 78, &["token"]),
    ("zibrato-slack", &[], 78, &["nowhere to post", "--webhook-url-file"]),
];

#[test]
fn invalid_starts_have_a_message_and_an_exit_code() {
    // Not the default journal, which another broker may use.
    let state = tempfile::tempdir().unwrap();
    for (name, flags, code, parts) in STARTS {
        let mut command = Command::new(program(name));
        command.args(flags).env("XDG_STATE_HOME", state.path());
        let (status, output, log) = Running::run(&mut command);
        assert_eq!((status.code(), &*output), (Some(code), ""), "{name} {flags:?}: {log}");
        // One line has the error; with the command line parser, the rest refers to --help.
        let line = log.lines().next().unwrap_or_default();
        assert!(parts.iter().all(|part| line.contains(part)), "{name} {flags:?}: {log}");
    }
}

#[test]
fn a_broker_whose_port_is_in_use_names_the_port_and_a_remedy() {
    let (ports, state) = (Ports::take(), tempfile::tempdir().unwrap());
    for place in [0, 1, 3] {
        let taken = TcpListener::bind(("127.0.0.1", ports.at(place))).unwrap();
        let mut command = Command::new(program("zibrato-broker"));
        command.args(["--http", "off", "--port", &ports.at(0).to_string()]);
        command.env("XDG_STATE_HOME", state.path());
        let (status, _, log) = Running::run(&mut command);
        assert_eq!(status.code(), Some(69), "{log}");
        let parts = ["in use", &ports.at(place).to_string(), "--port"];
        assert!(parts.iter().all(|part| log.contains(part)) && log.lines().count() == 1, "{log}");
        drop(taken);
    }
}

#[test]
fn a_worker_reports_an_unknown_broker_host_and_continues() {
    let mut command = Command::new(program("zibrato-carbon"));
    let mut worker = Running::start(command.args(["--host", "nowhere.invalid"]));
    worker.says(&["unknown_host", "nowhere.invalid"]);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn a_worker_on_a_wrong_port_names_the_right_one() {
    let broker = Broker::start();
    let right = broker.publishing_port();
    for (place, live) in [(0, false), (0, true), (2, false), (3, true)] {
        let typed = (broker.port() + place).to_string();
        let mut command = Command::new(program("zibrato-carbon"));
        command.args(["--port", &typed]).args(live.then_some("--live"));
        let mut worker = Running::start(&mut command);
        let line = worker.says(&["event=\"wrong_port\""]);
        let parts = [format!("port={typed}"), format!("right={right}"), format!("--port {right}")];
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
        assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    }
}

#[test]
fn a_port_is_not_called_wrong_without_proof() {
    let ports = Ports::take();
    let _silent = [0, 1].map(|place| TcpListener::bind(("127.0.0.1", ports.at(place))).unwrap());
    for live in [false, true] {
        let mut command = Command::new(program("zibrato-carbon"));
        command.arg("--port").arg(ports.at(0).to_string()).args(live.then_some("--live"));
        let mut worker = Running::start(&mut command);
        let line = worker.says(&["no_broker", "port + 1"]);
        assert!(!line.contains("key"), "{line}");
        assert!(!worker.log().contains("wrong_port"), "{}", worker.log());
        assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    }
    // A broker that is killed, and one that hangs.
    let mut broker = Broker::start();
    let mut worker = worker(&broker, &Carbon::start());
    let begun = std::time::Instant::now();
    broker.stop(Signal::KILL);
    worker.says(&["event=\"broker_lost\""]);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    worker.says(&["no_broker", "nothing listens there; start the broker"]);
    broker.restart();
    wait_until(DEADLINE, "the broker again", || {
        worker.log().matches("event=\"broker_connected\"").count() == 2
    });
    broker.signal(Signal::STOP);
    worker.says(&["no_broker", "the broker hangs"]);
    assert!(!worker.log().contains("wrong_port"), "{}", worker.log());
    broker.signal(Signal::CONT);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn a_program_without_a_broker_runs_and_delivers_once_one_starts() {
    let (carbon, mut broker) = (Carbon::start(), Broker::start());
    let _worker = worker(&broker, &carbon);
    assert_eq!(broker.stop(Signal::TERM).code(), Some(0));

    let z = publisher(&broker);
    z.count("info", "logins", 3);
    let stats = z.flush(Duration::from_millis(300));
    assert_eq!((stats.recorded, stats.pending, stats.total_lost()), (1, 1, 0));
    broker.restart();
    wait_until(DEADLINE, "the count to be delivered", || z.stats().delivered == 1);
    wait_until(DEADLINE, "the count in Carbon", || carbon.sum("web-1.logins") == 3.0);
}

#[test]
fn a_program_with_an_unknown_broker_host_runs_and_reports_losses() {
    let builder = Zibrato::builder().host("nowhere.invalid").source("web-1");
    let z = builder.flush_deadline(Duration::from_millis(100)).build().unwrap();
    z.count("info", "logins", 3);
    let stats = z.flush(Duration::from_millis(100));
    assert_eq!((stats.recorded, stats.pending), (1, 1));
    assert!(stats.balances());
}

#[test]
fn a_carbon_that_starts_late_gets_everything() {
    let (mut carbon, broker) = (Carbon::start(), Broker::start());
    carbon.stop();
    let mut worker = worker(&broker, &carbon);
    let z = publisher(&broker);
    z.count("info", "logins", 3);
    assert_eq!(z.flush(DEADLINE).delivered, 1);
    worker.says(&["event=\"retry\""]);
    carbon.restart();
    wait_until(DEADLINE, "the count in Carbon", || carbon.sum("web-1.logins") == 3.0);
}

#[test]
fn invalid_lines_are_counted_by_reason_and_others_arrive() {
    let (carbon, broker) = (Carbon::start(), Broker::start());
    let _worker = worker(&broker, &carbon);
    let push = socket(zmq::PUSH, broker.port());
    let bad = [
        ("fields", "info|Counter|logins|1|1700000000"),
        ("fields", "info|Counter|logins|1|1700000000|web-1|more"),
        ("mtype", "info|Meter|logins|1|1700000000|web-1"),
        ("value", "info|Counter|logins|nan|1700000000|web-1"),
        ("timestamp", "info|Counter|logins|1|yesterday|web-1"),
        ("name", "info|Counter||1|1700000000|web-1"),
        ("level", "zb1|Counter|logins|1|1700000000|web-1"),
    ];
    for (_, line) in bad {
        // Alone, and between two valid lines in one message.
        let good = "info|Counter|logins|1|1700000000|web-1";
        push.send(line, 0).unwrap();
        push.send(&format!("{good}\n{line}\n{good}"), 0).unwrap();
    }
    push.send(&b"info|Counter|\xff|1|1700000000|web-1"[..], 0).unwrap();
    wait_until(DEADLINE, "the good lines", || carbon.sum("web-1.logins") == 14.0);
    let dropped = |reason: &str| {
        broker.metric(&format!("zibrato_broker_dropped_total{{reason=\"{reason}\"}}"))
    };
    for reason in ["mtype", "value", "timestamp", "name", "level"] {
        assert_eq!(dropped(reason), 2.0, "{reason}");
    }
    assert_eq!((dropped("fields"), dropped("encoding")), (4.0, 1.0));
    assert_eq!(broker.metric("zibrato_broker_lines_total{intake=\"zmq\"}"), 14.0);
}

#[test]
fn a_mebibyte_of_garbage_on_each_socket_affects_no_other_client() {
    let (carbon, mut broker) = (Carbon::start(), Broker::start());
    let mut worker = worker(&broker, &carbon);
    let z = publisher(&broker);
    z.count("info", "logins", 1);
    assert_eq!(z.flush(DEADLINE).delivered, 1);

    let garbage = garbage(1 << 20);
    // Not even ZeroMQ.
    for port in [broker.port(), broker.publishing_port(), broker.legacy_port(), broker.http_port()]
    {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        // The broker may disconnect before the end, which is fine.
        drop(stream.write_all(&garbage));
    }
    // ZeroMQ messages, with one frame and with many.
    let (push, publish) =
        (socket(zmq::PUSH, broker.port()), socket(zmq::PUB, broker.legacy_port()));
    for frames in [1, 2, 3, 4, 5, 100] {
        let message: Vec<_> = garbage.chunks(garbage.len() / frames).collect();
        push.send_multipart(&message, 0).unwrap();
        publish.send_multipart(&message, 0).unwrap();
        let topic = batch_topic("info");
        let batch: Vec<_> = std::iter::once(topic.as_bytes()).chain(message).collect();
        push.send_multipart(&batch, 0).unwrap();
    }
    subscribe_to(&garbage, broker.publishing_port());

    wait_until(DEADLINE, "garbage to be counted", || {
        broker.metric("zibrato_broker_dropped_total{reason=\"frames\"}") >= 6.0
    });
    z.count("info", "logins", 10);
    assert_eq!(z.flush(DEADLINE).delivered, 2);
    wait_until(DEADLINE, "both counts", || carbon.sum("web-1.logins") == 11.0);
    // The broker logs this, but not a million times.
    let lines = broker.running().log().lines().count();
    assert!((2..200).contains(&lines), "{lines} lines in the broker's log");
    assert_eq!(broker.stop(Signal::QUIT).code(), Some(0));
    assert_eq!(worker.stop(Signal::QUIT).code(), Some(0));
}

#[test]
fn the_sender_of_a_huge_message_is_disconnected_and_the_broker_uses_no_memory_for_it() {
    let (carbon, mut broker) = (Carbon::start(), Broker::start());
    let _worker = worker(&broker, &carbon);
    let z = publisher(&broker);
    z.count("info", "logins", 1);
    assert_eq!(z.flush(DEADLINE).delivered, 1);

    let (push, publish) =
        (socket(zmq::PUSH, broker.port()), socket(zmq::PUB, broker.legacy_port()));
    for (socket, word) in [(push, "zmq"), (publish, "legacy")] {
        let cut = format!("zibrato_broker_disconnects_total{{socket=\"{word}\"}}");
        let before = broker.metric(&cut);
        wait_until(DEADLINE, "the connection to be cut", || {
            // A PUB socket sends nothing before it has received the subscription.
            socket.send(zmq::Message::from(vec![b'x'; 100 << 20]), zmq::DONTWAIT).ok();
            broker.metric(&cut) > before
        });
    }
    z.count("info", "logins", 10);
    assert_eq!(z.flush(DEADLINE).delivered, 2);
    wait_until(DEADLINE, "both counts", || carbon.sum("web-1.logins") == 11.0);
    let status = format!("/proc/{}/status", broker.running().id());
    let status = std::fs::read_to_string(status).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 60 << 10, "the broker used {peak} KiB");
}

#[test]
fn a_worker_survives_a_broker_that_publishes_garbage() {
    let (carbon, ports) = (Carbon::start(), Ports::take());
    let broker = zmq::Context::new().socket(zmq::XPUB).unwrap();
    broker.bind(&format!("tcp://127.0.0.1:{}", ports.at(1))).unwrap();
    let mut command = Command::new(program("zibrato-carbon"));
    command.args(["--live", "--flush", "1", "--port", &ports.at(1).to_string()]);
    let mut worker = Running::start(command.args(["--carbon", &address(&carbon)]));
    let subscriptions = [broker.recv_bytes(0).unwrap(), broker.recv_bytes(0).unwrap()];
    assert!(subscriptions.contains(&b"\x01zb1|info|".to_vec()), "{subscriptions:?}");

    let (garbage, topic) = (garbage(1 << 20), batch_topic("info"));
    let topic = topic.as_bytes();
    let id = BatchId { publisher: PublisherId([7; 16]), sequence: 1 }.encode();
    let now = zibrato::clock::unix_ms();
    let stamp = Stamp { offset: 1, received_ms: now }.encode();
    let far = Stamp { offset: u64::MAX, received_ms: u64::MAX }.encode();
    let mut batch = BatchWriter::new("web-1", now, 1_000);
    batch.counter("logins", &[], 3.0);
    let good = batch.finish();
    let (_, cut) = good.split_last().unwrap();
    for body in [&garbage[..], &[], &good[..good.len() / 2], cut] {
        broker.send_multipart([topic, &id, &stamp, body], 0).unwrap();
    }
    for frames in [&[topic][..], &[topic, &garbage], &[topic, &id], &[topic, &id, &good, &stamp]] {
        broker.send_multipart(frames, 0).unwrap();
    }
    broker.send_multipart([b"zb!levels", &garbage[..]], 0).unwrap();
    broker.send_multipart([b"zb!levels", &WantedLevels::default().encode()[..]], 0).unwrap();
    let next = BatchId { publisher: PublisherId([7; 16]), sequence: 2 }.encode();
    broker.send_multipart([topic, &next, &far, &good], 0).unwrap();
    wait_until(DEADLINE, "the good batch", || carbon.sum("web-1.logins") >= 3.0);
    assert_eq!(carbon.sum("web-1.logins"), 3.0);
    worker.says(&["event=\"refused\""]);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn an_invalid_request_to_the_pages_gets_an_answer_and_affects_nothing() {
    let broker = Broker::start();
    assert!(broker.page("/healthz").starts_with("HTTP/1.1 200"));
    assert!(broker.page("/readyz").starts_with("HTTP/1.1 200"));
    assert!(broker.page("/nothing").starts_with("HTTP/1.1 404"));
    let mut stream = TcpStream::connect(("127.0.0.1", broker.http_port())).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"\x16\x03\x01 not http\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // The connection ends, with or without an answer.
    drop(stream.read_to_end(&mut answer));
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
}

fn worker(broker: &Broker, carbon: &Carbon) -> Running {
    broker.worker("zibrato-carbon", &["--flush", "1", "--carbon", &address(carbon)])
}

fn address(carbon: &Carbon) -> String {
    format!("127.0.0.1:{}", carbon.port())
}

fn publisher(broker: &Broker) -> Zibrato {
    let builder = Zibrato::builder().port(broker.port()).source("web-1");
    builder.interval(Duration::from_millis(50)).build().unwrap()
}

fn socket(kind: zmq::SocketType, port: u16) -> zmq::Socket {
    let socket = zmq::Context::new().socket(kind).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_sndtimeo(10_000).unwrap();
    socket.connect(&format!("tcp://127.0.0.1:{port}")).unwrap();
    socket
}

/// Subscribes to a topic of any length, without libzmq, because libzmq overflows its own stack for
/// a topic of a mebibyte before it has sent it.
fn subscribe_to(topic: &[u8], port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    // ZMTP 3.0: signature, version, mechanism, then a command and a long frame.
    let mut greeting = [0; 64];
    (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
    greeting[12..16].copy_from_slice(b"NULL");
    stream.write_all(&greeting).unwrap();
    stream.write_all(b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB").unwrap();
    stream.write_all(&[2]).unwrap();
    stream.write_all(&(topic.len() as u64 + 1).to_be_bytes()).unwrap();
    // The broker disconnects when it has read the length.
    drop(stream.write_all(&[&[1], topic].concat()));
}

/// Random bytes, the same each time.
fn garbage(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| byte()).collect()
}

#[test]
fn a_file_without_end_and_a_pipe_without_writer_are_configuration_errors() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo").display().to_string();
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let librato = ["--username", "a", "--dead-letters", "off"];
    for (name, flags, flag) in [
        ("zibrato-broker", &["--no-journal"][..], "--config"),
        ("zibrato-broker", &["--no-journal", "--allowed-keys", "x"], "--curve-key"),
        ("zibrato-carbon", &["--dead-letters", "off"], "--config"),
        ("zibrato-librato", &librato, "--apitoken-file"),
        ("zibrato-librato", &[&librato[..], &["--apitoken", "b"]].concat(), "--ca-file"),
    ] {
        for file in ["/dev/zero", &fifo] {
            let mut command = Command::new(program(name));
            command.args(flags).args([flag, file]);
            let (status, _, log) = Running::run(&mut command);
            assert_eq!(status.code(), Some(78), "{name} {flag} {file}: {log}");
            assert!(log.contains(file), "{name} {flag} {file}: {log}");
        }
    }
}
