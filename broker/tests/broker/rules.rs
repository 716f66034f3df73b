//! Rules: what intakes receive, and what subscribers get of it.

use crate::harness::{Bench, Seen, Subscriber};
use crate::http::get;
use crate::program::{Running, ended, program};
use std::collections::BTreeMap;
use std::fs::write;
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use zibrato::window::Fold;
use zibrato::wire::{BatchReader, Line};
use zibrato::{Gauge, Summary};
use zibrato_broker::{Config, Intake, IntakeContext, IntakeError, OpenIntake};

/// An intake that gives the broker some samples for each packet.
#[derive(Debug)]
struct Gives;

impl Intake for Gives {
    fn name(&self) -> &'static str {
        "gives"
    }

    fn open(&self) -> Result<OpenIntake, IntakeError> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        Ok(OpenIntake::new(socket.local_addr()?, move |context| {
            while context.wait(&[socket.as_fd()]) {
                if socket.recv(&mut [0; 8]).is_ok() {
                    give(context);
                }
            }
            Ok(())
        }))
    }
}

fn give(context: &mut IntakeContext) {
    for line in [
        "info|Counter|shop.paid|2|1700000000|web-1",
        "info|Counter|shop.debug.x|1|1700000000|web-1",
        "info|Gauge|queue.depth|4|1700000000|web-1",
        "info|Counter|not.ruled|1|1700000000|web-1",
        "info|Counter|bad.name|1|1700000000|web-1",
    ] {
        context.fold(&Line::decode(line.as_bytes()).unwrap());
    }
    let mut summary = Summary::new();
    [100.0, 300.0].into_iter().for_each(|ms| summary.record(ms));
    let timer = Fold::Timer(Box::new(summary));
    let tags = [("route", "/pay"), ("node", "n1")];
    context.fold_series("info", "web-1", "call.ms", &tags, &timer);
    let gauge = Fold::Gauge(Some(Gauge::folded(2.0, 1_700_000_000_000, 3, 9.0, 2.0, 4.0)));
    context.fold_series("info", "web-1", "load", &[], &gauge);
}

const RULES: &str = r#"
[[rule]]
name = "no debug"
match = { protocol = "gives", name = "*.debug.*" }
drop = true

[[rule]]
match = { name = "shop.*", kind = "counter" }
rename = "sales.{1}"
level = "billing"
tags = { shop = "{host}" }

[[rule]]
match = { name = "*.ms", tags = { route = "/*" } }
rename = "{1}"
scale = 0.001
host = "{tag.node}"
tags = { node = "" }

[[rule]]
match = { name = ["queue.*", "load"] }
scale = -10

[[rule]]
match = { name = "bad.*" }
rename = "{tag.none}"
"#;

/// The entries of batches by name, until there are as many as expected: level, source, tags, value.
#[track_caller]
fn entries(subscriber: &Subscriber, expected: usize) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    while all.len() < expected {
        let seen = subscriber.next().unwrap_or_else(|| panic!("only {all:?}"));
        let Seen::Batch { level, body, .. } = seen else { continue };
        let batch = BatchReader::new(&body).unwrap();
        let source = batch.source().to_owned();
        for entry in batch.entries().map(Result::unwrap) {
            let tags: Vec<_> =
                entry.tags.clone().map(|(tag, value)| format!("{tag}={value}")).collect();
            let text = format!("{level} {source} {} {:?}", tags.join(","), entry.value);
            all.insert(entry.name.to_owned(), text);
        }
    }
    all
}

#[test]
fn rules_decide_what_subscribers_get() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    write(&file, RULES).unwrap();
    let http = Some("127.0.0.1:0".parse().unwrap());
    let bench = Bench::with(Config::new().intake(Gives).http(http).rules(&file).unwrap());
    let subscriber = bench.subscribe(&["zb1|info|", "zb1|billing|"]);
    let packet = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"give", bench.broker.intake_address("gives").unwrap()).unwrap();
    };
    packet();
    let all = entries(&subscriber, 5);
    let starts = |name: &str, start: &str| {
        let text = all.get(name).unwrap_or_else(|| panic!("{name}: {all:?}"));
        assert!(text.starts_with(start), "{name}: {text}");
    };
    starts("sales.paid", "billing web-1 shop=web-1 Counter(2.0)");
    starts("queue.depth", "info web-1  Gauge(Gauge { last: -40.0, at_ms: 1700000000000");
    starts("load", "info web-1  Gauge(Gauge { last: -20.0, at_ms: 1700000000000, count: 3");
    assert!(all["load"].contains("sum: -90.0, min: -40.0, max: -20.0"), "{all:?}");
    starts("not.ruled", "info web-1  Counter(1.0)");
    starts("call", "info n1 route=/pay TimerReadings(");
    bench.until("drops are counted", || {
        let counters = bench.broker.counters();
        let rejected = &counters.intake("gives").unwrap().rejected;
        rejected.get("rule") == Some(&1) && rejected.get("rule_result") == Some(&1)
    });
    // New rules apply to what comes next; a file with an error changes nothing.
    write(&file, "[[rule]]\nmatch = {}\nrename = \"all.{name}\"\n").unwrap();
    assert_eq!(bench.broker.reload_rules().unwrap(), Some(1));
    write(&file, "[[rule]]\nmatch = {}\n").unwrap();
    let error = bench.broker.reload_rules().unwrap_err().to_string();
    assert!(error.ends_with("scale, level or tags") && error.contains(":1:1: "), "{error}");
    let page = get(&bench, "/metrics");
    for result in ["used", "refused"] {
        let sample = format!("zibrato_broker_rules_reloads_total{{result=\"{result}\"}} 1");
        assert!(page.lines().any(|line| line == sample), "{sample}\n{page}");
    }
    packet();
    let all = entries(&subscriber, 7);
    assert!(all.keys().all(|name| name.starts_with("all.")), "{all:?}");
}

#[test]
fn the_flag_names_a_file_that_is_checked_and_reloaded_at_hup() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    let path = file.to_str().unwrap();
    write(&file, "[[rule]]\nmatch = {}\n").unwrap();
    for args in [&["--check"][..], &[]] {
        let (code, stdout, stderr) = ended(&[&["--port", "0", "--rules", path], args].concat());
        assert_eq!((code, &*stdout), (78, ""), "{stderr}");
        assert!(stderr.contains("--rules") && stderr.contains("rules.toml:1:1: "), "{stderr}");
    }
    write(&file, RULES).unwrap();
    let (code, stdout, stderr) =
        ended(&["--port", "0", "--http", "off", "--rules", path, "--check"]);
    assert_eq!((code, &*stdout), (0, "The configuration is valid, with 2 warnings\n"), "{stderr}");
    // The program has no such intake, and none is on.
    for part in ["rule \"no debug\" (line 2): match.protocol is none of", "--rules has no effect"] {
        assert!(stderr.contains(part), "{stderr}");
    }

    let args = ["--port", "0", "--http", "off", "--no-journal", "--settle", "0", "--rules", path];
    let mut running = Running(program(&args).spawn().unwrap());
    let mut log = BufReader::new(running.0.stderr.take().unwrap()).lines();
    let mut until = |text: &str| {
        let line = log.by_ref().map(Result::unwrap).find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("it ended without {text}"))
    };
    until("listening");
    let pid = running.0.id().to_string();
    let hup = || assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    hup();
    let line = until("rules_reloaded");
    assert!(line.contains('5'), "{line}");
    write(&file, "rules = 1").unwrap();
    hup();
    let line = until("reload_failed");
    assert!(line.contains("rules.toml:1:1: ") && line.contains("stay in force"), "{line}");
}

#[test]
fn a_slow_script_is_not_called_for_all_samples_and_the_others_are_counted() {
    // Some thousand operations, which are permitted.
    let script = "fn process(host, name, value, time) {
        let x = 0;
        for i in 0..2500 { x += i; }
        [host, name, value, time]
    }";
    for drops in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path().join("s.rhai"), script).unwrap();
        let file = folder.path().join("rules.toml");
        write(&file, format!("script = \"s.rhai\"\ndrop_on_error = {drops}\n")).unwrap();
        let bench = Bench::with(Config::new().intake(Gives).rules(&file).unwrap());
        let (socket, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), "gives");
        let of = || bench.broker.counters().intake("gives").unwrap().clone();
        bench.until("the script has taken its share of a second", || {
            socket.send_to(b"give", bench.broker.intake_address(to).unwrap()).unwrap();
            of().script_skips > 0
        });
        let counters = of();
        assert_eq!(counters.script_errors, 0);
        let dropped = counters.rejected.get("script_time").copied();
        assert_eq!(dropped, drops.then_some(counters.script_skips));
    }
}

#[test]
fn samples_are_tried_with_the_types_and_the_level_of_the_intake() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let file = folder.path().join(name);
        write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let rules = file("rules.toml", "[[rule]]\nmatch = { level = \"hosts\" }\nrename = \"n\"\n");
    let types = file("types.db", "pair a:GAUGE:U:U, b:GAUGE:U:U\n");
    let config = file("broker.toml", &format!("collectd-types = [\"{types}\"]\n"));
    for args in [["--collectd-types", &*types], ["--config", &config]] {
        let mut command = program(&["rules", "test", "--level", "hosts", &rules]);
        let mut child = command.args(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"web-1 p/pair 1:2 5\n").unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim).filter(|l| l.contains("gauge")).collect();
        let expected = ["hosts gauge n 1 5 from web-1", "hosts gauge n 2 5 from web-1"];
        assert_eq!(lines, expected, "{args:?} {:?}", String::from_utf8_lossy(&output.stderr));
    }
    let missing = folder.path().join("nowhere.db").display().to_string();
    let (code, _, stderr) = ended(&["rules", "test", "--collectd-types", &missing, &rules]);
    assert!(code == 78 && stderr.contains(&missing), "{stderr}");
}
