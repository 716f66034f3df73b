//! `zibrato-carbon` between a publisher and a listener: exact bytes, and nothing is lost by a stop.

use crate::program::Program;
use crate::publisher::{LONG, Publisher, until};
use std::io::Read;
use std::net::{TcpListener, TcpStream};

const CARBON: &str = env!("CARGO_BIN_EXE_zibrato-carbon");

fn start(publisher: &Publisher, listener: &str, more: &[&str]) -> Program {
    let port = publisher.port().to_string();
    let mut args = vec!["--live", "--port", &port, "--carbon", listener];
    args.extend(more);
    let program = Program::start(CARBON, &args);
    publisher.subscribed(2);
    program
}

/// Accepts the first connection that carries data. The worker also connects once to check whether
/// Carbon is reachable.
fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    loop {
        let (stream, _) = until("a connection", || listener.accept().ok());
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        if stream.peek(&mut [0]).unwrap() > 0 {
            return stream;
        }
    }
}

/// Lines without their times, which must be equal.
fn without_time(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.rsplit_once(' ').unwrap());
    let (lines, mut times): (Vec<_>, Vec<_>) = lines.map(|(l, t)| (l.to_owned(), t)).unzip();
    times.dedup();
    assert_eq!(times.len(), 1, "{text}");
    assert_eq!(times[0].parse::<u64>().unwrap() % 3600, 0, "{text}");
    lines
}

#[test]
fn term_delivers_everything_received_and_exits_with_0() {
    let mut publisher = Publisher::bind();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for signal in ["TERM", "INT", "QUIT"] {
        let args = ["--flush", "3600", "--prefix", "zibrato"];
        let mut program = start(&publisher, &address, &args);
        publisher.count("info", "logins", 1.0);
        publisher.count("info", "logins", 2.5);
        publisher.count("info", "a b", 1.0);
        publisher.count("debug", "unwanted", 1.0);
        program.signal(signal);
        assert_eq!(program.end().code(), Some(0), "{signal}");
        let mut text = String::new();
        accept(&listener).read_to_string(&mut text).unwrap();
        assert_eq!(
            without_time(&text),
            ["zibrato.web-1.a_b_e63f991904833892 1", "zibrato.web-1.logins 3.5"]
        );
        program.wait_for_stderr("event=\"ended\"");
        // The subscriptions of the program that has ended are withdrawn.
        publisher = Publisher::bind();
    }
}

#[test]
fn a_stop_while_carbon_is_down_reports_the_loss() {
    let mut publisher = Publisher::bind();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut program = start(&publisher, &closed, &["--flush", "1", "--shutdown-timeout", "0.5"]);
    publisher.count("info", "n", 1.0);
    program.wait_for_stderr("event=\"retry\"");
    program.signal("TERM");
    assert_eq!(program.end().code(), Some(0));
    let log = program.wait_for_stderr("event=\"lost\"");
    assert!(log.contains("series=1 windows=1"), "{log}");
}

#[test]
fn windows_end_by_the_clock_and_use_one_connection() {
    let mut publisher = Publisher::bind();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let _program = start(&publisher, &address, &["--flush", "1"]);
    publisher.count("info", "n", 1.0);
    let mut stream = accept(&listener);
    let mut read = |expected: &str| {
        let mut line = [0; 64];
        let length = expected.len() + " 1700000000\n".len();
        stream.read_exact(&mut line[..length]).unwrap();
        let text = std::str::from_utf8(&line[..length]).unwrap();
        let (head, time) = text.trim_end().rsplit_once(' ').unwrap();
        assert_eq!(head, expected);
        time.parse::<u64>().unwrap()
    };
    let first = read("web-1.n 1");
    publisher.count("info", "n", 2.0);
    assert!(read("web-1.n 2") > first);
}
