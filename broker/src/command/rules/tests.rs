//! What `rules test` prints.

use super::Trial;
use crate::intake::collectd::Types;
use crate::intake::rules::RulesStore;
use crate::intake::rules::page::blocks;
use std::fs::write;

const NOW: f64 = 1_700_000_000.0;

/// Some lines of CollectD's own file.
const TYPES: &str = "
df_complex  value:GAUGE:0:U
if_octets   rx:DERIVE:0:U, tx:DERIVE:0:U
load        shortterm:GAUGE:0:5000, midterm:GAUGE:0:5000, longterm:GAUGE:0:5000
memory      value:GAUGE:0:281474976710656
uptime      value:GAUGE:0:4294967295
";

fn trial(text: &str, script: &str) -> Trial {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let file = folder.path().join(name);
        write(&file, text).unwrap();
        file
    };
    file("rules.rhai", script);
    let rules = RulesStore::open(&file("rules.toml", text)).unwrap().rules();
    let types = Types::read(&[file("types.db", TYPES)]);
    Trial { rules, types, level: "info".parse().unwrap() }
}

#[track_caller]
fn shows(trial: &Trial, line: &str, expected: &[&str]) {
    let text = trial.test(line.as_bytes(), NOW).text;
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(line));
    assert_eq!(lines.map(str::trim_start).collect::<Vec<_>>(), expected, "{line}");
}

#[test]
fn the_page_shows_what_its_commands_print() {
    let (files, script) = (blocks("toml"), &blocks("rhai")[0]);
    let commands = blocks("console");
    let commands = commands.iter().filter(|command| command.contains("rules test"));
    let mut shown = 0;
    for (command, file) in commands.zip(&files) {
        let trial = trial(file, script);
        let (command, expected) = command.split_once('\n').unwrap();
        let samples = command.split('\'').skip(3).step_by(2);
        // The time of the page.
        let print = |sample: &str| trial.test(sample.as_bytes(), 1_764_453_600.0).text;
        assert_eq!(samples.map(print).collect::<String>(), expected, "{command}");
        shown += 1;
    }
    assert_eq!(shown, 2);
}

#[test]
fn each_line_is_followed_by_what_becomes_of_its_samples() {
    let trial = trial(
        "[[rule]]\nname = \"no debug\"\nmatch = { name = \"debug.*\" }\ndrop = true\n\
         [[rule]]\nmatch = { tags = { env = \"prod\" } }\nlevel = \"prod\"\ntags = { env = \"\" }\n\
         [[rule]]\nmatch = { plugin = \"df\" }\nrename = \"disk.{plugin_instance}.{type_instance}\"\n\
         [[rule]]\nmatch = { name = \"bad\" }\nrename = \"{tag.none}\"\n",
        "",
    );
    for (line, expected) in [
        ("debug.x:1|c", &["dropped by the rule", "rule: \"no debug\" (line 1)"][..]),
        (
            "a:250|ms|#env:prod,zone:eu,host:web-1",
            &["prod timer a 0.25 1700000000 from web-1, tags zone=eu", "rule: in line 5"],
        ),
        (
            "a:1:2|c|@0.5",
            &[
                "info counter a 2 1700000000",
                "rule: none matches",
                "info counter a 4 1700000000",
                "rule: none matches",
            ],
        ),
        ("s:x|s", &["info set s 1 1700000000", "rule: none matches"]),
        (
            "a:x|c",
            &["not a sample: the value is not a finite decimal number, or is a negative time"],
        ),
        ("bad:1|c", &["dropped: the name \"\" is empty", "rule: in line 12"]),
        (
            "web-1 df-root/df_complex-free 10 1600000000",
            &["info gauge disk.root.free 10 1600000000 from web-1", "rule: in line 9"],
        ),
        (
            "web-1 uptime/uptime 5 now-5",
            &["info gauge uptime.uptime 5 1699999995 from web-1", "rule: none matches"],
        ),
        (
            "web-1 interface-eth0/if_octets 120:80.5",
            &[
                "info gauge interface.eth0.if_octets.rx 120 1700000000 from web-1",
                "rule: none matches",
                "info gauge interface.eth0.if_octets.tx 80.5 1700000000 from web-1",
                "rule: none matches",
            ],
        ),
        (
            "web-1 load/load 0.5",
            &["not a sample: types.db has other values for the type load: \
               shortterm:midterm:longterm"],
        ),
        ("web-1 x/nothing 1", &["not a sample: no types.db has the type nothing"]),
        ("- requests.count 1:2", &["not a sample: only a CollectD line can have several values"]),
        ("- requests.count 7", &["info gauge requests.count 7 1700000000", "rule: none matches"]),
        (
            "- requests.count",
            &["not a sample: expected NAME:VALUE|TYPE, HOST PLUGIN[-INSTANCE]/TYPE[-INSTANCE] \
               VALUES [TIME], or HOST NAME VALUE [TIME]"],
        ),
        (
            "web-1 interface-eth0/if_octets 120,80",
            &[
                "not a sample: expected HOST PLUGIN[-INSTANCE]/TYPE[-INSTANCE] VALUES [TIME]; VALUES \
               are numbers, separated by colons",
            ],
        ),
        (
            "a:b",
            &["not a sample: the type is missing; expected NAME:VALUE|TYPE, such as logins:1|c"],
        ),
    ] {
        shows(&trial, line, expected);
    }
    assert_eq!(trial.test(b"", NOW).text, "");
    assert!(trial.test(b"\xff:1|c", NOW).text.starts_with("\\xff:1|c\n"));
}

#[test]
fn rules_see_the_data_source_and_the_level() {
    let rules = "[[rule]]\nmatch = { level = \"hosts\", value_name = \"tx\" }\n\
                 rename = \"sent.{type}\"\nlevel = \"net\"\n";
    let mut trial = trial(rules, "");
    let line = "- interface-eth0/if_octets 1:2";
    let received = "info gauge interface.eth0.if_octets.rx 1 1700000000";
    let sent = "info gauge interface.eth0.if_octets.tx 2 1700000000";
    shows(&trial, line, &[received, "rule: none matches", sent, "rule: none matches"]);
    trial.level = "hosts".parse().unwrap();
    let received = "hosts gauge interface.eth0.if_octets.rx 1 1700000000";
    let sent = "net gauge sent.if_octets 2 1700000000";
    shows(&trial, line, &[received, "rule: none matches", sent, "rule: in line 1"]);
    shows(&trial, "a:1|c", &["hosts counter a 1 1700000000", "rule: none matches"]);
}

#[test]
fn without_types_only_lines_of_collectd_are_no_samples() {
    let mut trial = trial("", "");
    trial.types = Err("there is no types.db".to_owned());
    shows(&trial, "h memory/memory 1", &["not a sample: there is no types.db"]);
    shows(&trial, "- a 1", &["info gauge a 1 1700000000", "rule: none matches"]);
}

#[test]
fn the_examples_of_buckys_manual_give_what_bucky_gives() {
    let script = "
        fn memory(sample) { [\"memory\", sample.type_instance] }
        fn process(host, name, value, timestamp) {
            let future = 120; // 2 minutes
            let past = 300;   // 5 minutes
            if timestamp > now() + future || timestamp < now() - past { return; }
            [host, name, value, timestamp]
        }";
    let trial = trial("script = \"rules.rhai\"\n[converters]\nmemory = \"memory\"\n", script);
    let kept = |host: &str, name: &str, time: &str| {
        [format!("info gauge {name} 823009280 {time} from {host}")]
    };
    for (line, kept, others) in [
        (
            "toroid.local memory/memory-inactive 823009280 now",
            Some(kept("toroid.local", "memory.inactive", "1700000000")),
            &["converter: memory", "rule: none matches"][..],
        ),
        (
            "toroid.local memory/memory-inactive 823009280 1320970329",
            None,
            &["dropped by the script", "converter: memory", "rule: none matches"],
        ),
        ("h a 1 now-301", None, &["dropped by the script", "rule: none matches"]),
        ("h a 1 now+121", None, &["dropped by the script", "rule: none matches"]),
        ("h a 823009280 now-300", Some(kept("h", "a", "1699999700")), &["rule: none matches"]),
    ] {
        let kept = kept.iter().flatten().map(String::as_str);
        let expected: Vec<_> = kept.chain(others.iter().copied()).collect();
        shows(&trial, line, &expected);
    }
}

#[test]
fn errors_of_a_script_are_shown_with_their_place() {
    let text = |drop: bool| format!("script = \"rules.rhai\"\ndrop_on_error = {drop}\n");
    let script = "fn process(host, name, value, time) {\n  value.nothing()\n}";
    let error = "error in process: line 2, column 9: Function not found: nothing (f64)";
    shows(
        &trial(&text(true), script),
        "h a 1",
        &[&format!("dropped: {error}"), "rule: none matches"],
    );
    let passed = ["info gauge a 1 1700000000 from h", error, "rule: none matches"];
    shows(&trial(&text(false), script), "h a 1", &passed);
}

#[test]
fn what_is_not_a_sample_and_what_fails_is_counted() {
    let script = "fn process(host, name, value, time) {
  if name == \"bad\" { value.nothing() }
  [host, name, value, time]
}";
    let trial = trial("script = \"rules.rhai\"\n", script);
    for (line, failures) in
        [("a:1|c", 0), ("h a 1", 0), ("a:b", 1), ("a:1|c|x", 0), ("h bad 1", 1), ("bad:1:2|c", 2)]
    {
        assert_eq!(trial.test(line.as_bytes(), NOW).failures, failures, "{line}");
    }
    assert!(super::verdict(0).is_ok());
    let failure = super::verdict(2).unwrap_err();
    assert_eq!((failure.exit as u8, failure.message.contains("2 times")), (65, true));
}
