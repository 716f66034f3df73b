//! `zibrato-carbon check`, `send` and `--dry-run`, with a real Carbon.

use std::net::TcpListener;
use std::process::{Command, ExitStatus};
use std::time::Duration;
use zibrato::Zibrato;
use zibrato::clock::unix_ms;
use zibrato_tests::{Broker, Carbon, DEADLINE, Running, Signal, program, wait_until};

/// Status, output and log of `zibrato-carbon` with these arguments.
fn run(args: &[&str]) -> (ExitStatus, String, String) {
    Running::run(Command::new(program("zibrato-carbon")).args(args))
}

#[test]
fn check_says_of_each_destination_what_works() {
    let carbon = Carbon::start();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (lines, pickles) = (carbon.port(), carbon.pickle_port());
    let good = format!("127.0.0.1:{lines},pickle://127.0.0.1:{pickles},udp://127.0.0.1:{lines}:u");
    let (status, output, log) = run(&["check", "--carbon", &good]);
    assert!(status.success(), "{log}");
    for line in [
        format!("127.0.0.1:{lines}: ok: accepts connections, and reads lines\n"),
        format!("127.0.0.1:{pickles}: ok: accepts connections, and reads pickles\n"),
        format!("127.0.0.1:{lines}:u: ok: datagrams can be sent to 127.0.0.1:{lines}; whether"),
        "give --tags path or --tags drop\n".to_owned(),
    ] {
        assert!(output.contains(&line), "{line}: {output}");
    }
    assert!(carbon.metrics().is_empty());

    let swapped = format!("127.0.0.1:{pickles},pickle://127.0.0.1:{lines}");
    let (status, output, _) = run(&["check", "--carbon", &swapped]);
    assert_eq!(status.code(), Some(69));
    for line in [
        format!(
            "127.0.0.1:{pickles}: failed: 127.0.0.1:{pickles} accepts connections, but does not read lines; is it the port for pickles?"
        ),
        format!(
            "127.0.0.1:{lines}: failed: pickle://127.0.0.1:{lines} accepts connections, but does not read pickles; is it the port for lines?"
        ),
    ] {
        assert!(output.contains(&line), "{line}: {output}");
    }

    let bad = format!("{closed},127.0.0.1:{lines},nowhere.invalid:2003");
    let (status, output, log) = run(&["check", "--tags", "drop", "--carbon", &bad]);
    assert_eq!(status.code(), Some(69), "{log}");
    assert!(log.contains("2 of 3 destinations cannot be reached"), "{log}");
    for line in [
        format!("{closed}: failed: cannot connect to {closed}: Connection refused"),
        format!("127.0.0.1:{lines}: ok: accepts connections"),
        "nowhere.invalid:2003: failed: cannot connect to nowhere.invalid:2003: ".to_owned(),
    ] {
        assert!(output.contains(&line), "{line}: {output}");
    }
}

#[test]
fn one_point_is_sent_with_its_name_value_and_time() {
    let carbon = Carbon::start();
    let to = format!("127.0.0.1:{}", carbon.port());
    let then = (unix_ms() / 1000 - 60).to_string();
    let args = ["send", "--carbon", &to, "--prefix", "p", "a b;dc=fra", "-3.5", &then];
    let (status, output, log) = run(&args);
    assert!(status.success(), "{log}");
    let sent = format!("{to}: sent: p.a_b_e63f991904833892;dc=fra -3.5 {then}\n");
    assert_eq!(output, sent);
    let (status, _, log) = run(&["send", "--carbon", &to, "test.point", "2"]);
    assert!(status.success(), "{log}");
    wait_until(DEADLINE, "the point of now", || carbon.sum("test.point") == 2.0);
    wait_until(DEADLINE, "the point with a tag", || {
        carbon.fetch_all().iter().any(|(name, points)| {
            name.starts_with("_tagged.") && points == &[(then.parse().unwrap(), -3.5)]
        })
    });

    let (status, output, _) = run(&["send", "--dry-run", "--prefix", "p", "test.point", "2", "60"]);
    assert!(status.success() && output == "p.test.point 2 60\n", "{output}");
    for (args, why) in [
        (["test.point", "nan", "60"], "expected a finite number"),
        (["test.point", "1", "-1"], "expected Unix time"),
        (["test.point", "1", "N"], "expected Unix time"),
        (["test.point;dc", "1", "60"], "a tag is written ;tag=value"),
    ] {
        let (status, _, log) = run(&[&["send", "--carbon", &to, "--"], &args[..]].concat());
        assert!(status.code() == Some(64) && log.contains(why), "{status} {log}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (status, output, _) = run(&["send", "--carbon", &closed, "test.point", "1"]);
    assert!(status.code() == Some(69) && output.contains("not sent: cannot connect"), "{output}");
}

#[test]
fn a_dry_run_prints_lines_and_leaves_no_cursor() {
    let broker = Broker::start();
    let port = broker.worker_http_port();
    let http = format!("127.0.0.1:{port}");
    let to = "127.0.0.1:1,127.0.0.1:2:b";
    let args = ["--dry-run", "--flush", "1", "--carbon", to, "--http", &http];
    let mut worker = broker.worker("zibrato-carbon", &args);
    worker.says(&["event=\"started\"", "to=\"standard output, standard output\""]);
    let builder = Zibrato::builder().port(broker.port()).source("web-1");
    let z = builder.interval(Duration::from_millis(100)).build().unwrap();
    for destination in ["127.0.0.1:1", "127.0.0.1:2:b"] {
        let line = format!("# to {destination}\nweb-1.logins ");
        wait_until(DEADLINE, "the line", || {
            z.count("info", "logins", 7);
            assert_eq!(z.flush(DEADLINE).pending, 0);
            worker.output().contains(&line)
        });
    }
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    let mut list = Command::new(program("zibrato-broker"));
    list.args(["cursors", "list", "--port", &broker.port().to_string()]);
    let (_, output, log) = Running::run(&mut list);
    assert!(!output.contains("zibrato-carbon"), "{output}{log}");
}
