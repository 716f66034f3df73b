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
    let lines = format!("pickle://{to}");
    let pickles = format!("127.0.0.1:{}", carbon.pickle_port());
    for (address, why) in [
        (&closed, "not sent: cannot connect"),
        (&lines, "does not read pickles; is it the port for lines?"),
        (&pickles, "does not read lines; is it the port for pickles?"),
    ] {
        let (status, output, _) = run(&["send", "--carbon", address, "test.point", "1"]);
        assert!(status.code() == Some(69) && output.contains(why), "{output}");
    }
}

#[test]
fn an_edited_dead_letter_is_sent_only_if_carbon_would_store_it() {
    let (carbon, folder) = (Carbon::start(), tempfile::tempdir().unwrap());
    let time = unix_ms() / 1000 - 60;
    let write = |name: &str, body: &str| {
        let head = "zibrato dead letter 1\nprogram: zibrato-carbon\nname: zibrato-carbon\nkey: k\n\
             window-start-ms: 1\nwindow-length-ms: 1000\nseries: 1\nrejected-ms: 1\nanswer: no\n\
             bytes: edited\n\n";
        std::fs::write(folder.path().join(name), head.to_owned() + body).unwrap();
    };
    // An editor may leave out the last line feed, without which Carbon ignores a line.
    write("1.dead", &format!("one 1 {time}"));
    write("2.dead", &format!("two 2 {time}\r\nthree 3 {time}"));
    write("3.dead", &format!("four 4 {time}\nfive nan {time}\n"));
    write("4.dead", "six 6 -1\n");
    let place = folder.path().display().to_string();
    let send =
        |to: &str| run(&["deadletter", "send", "--all", "--dead-letters", &place, "--carbon", to]);
    let (status, output, _) = send(&format!("127.0.0.1:{}", carbon.pickle_port()));
    assert!(status.code() == Some(74) && !output.contains("accepted"), "{output}");
    assert!(output.contains("is it the port for pickles?"), "{output}");
    let (status, output, _) = send(&format!("127.0.0.1:{}", carbon.port()));
    assert_eq!(status.code(), Some(74), "{output}");
    for part in [
        "1.dead: accepted\n2.dead: accepted\n3.dead: kept: ",
        "line 2 of the body, `five nan ",
        "the value must be a finite number",
        "line 1 of the body, `six 6 -1`: the time must be Unix time",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    wait_until(DEADLINE, "the lines", || {
        [("one", 1.0), ("two", 2.0), ("three", 3.0)]
            .iter()
            .all(|(name, value)| carbon.fetch(name) == [(time, *value)])
    });
    assert_eq!(carbon.metrics(), ["one", "three", "two"]);
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 2);
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
