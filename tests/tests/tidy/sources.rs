//! Rules for source files: a first sentence, a maximum length, and forbidden calls.

use super::{Source, files, none};
use std::path::Path;

/// Files that may be longer than [`LONGEST`] lines, and why.
const LONG: [(&str, &str); 0] = [];

const LONGEST: usize = 400;

/// Files and folders that take bytes and times as arguments, and open nothing. So does every file
/// that says `//! Pure` in its head, as those of the workers and backends do.
const PURE: &[&str] = &[
    "broker/src/acks.rs",
    "broker/src/expand.rs",
    "broker/src/line_windows.rs",
    "broker/src/subscriptions.rs",
    "workers/src/fold",
    "zibrato/src/measurement",
    "zibrato/src/sketch.rs",
    "zibrato/src/summary.rs",
    "zibrato/src/window",
    "zibrato/src/wire",
];

/// What pure files do not touch.
const WORLD: [&str; 9] = [
    "std::env",
    "std::fs",
    "std::net",
    "std::process::Command",
    "std::thread",
    "Instant::now",
    ".elapsed()",
    "SystemTime",
    "zmq::",
];

/// What no file of a shipped crate does, why, and the one file that may.
const BANNED: [(&str, &str, &str); 4] = [
    ("thread::spawn", "threads have a name and an owner: std::thread::Builder", ""),
    ("unbounded(", "every queue is bounded", ""),
    ("mpsc::channel(", "every queue is bounded", ""),
    ("SystemTime::now", "the wall clock is read in one place", "zibrato/src/clock.rs"),
];

const SHIPPED: [&str; 4] = ["broker/src", "workers/src", "zibrato/src", "zibrato-macros/src"];

#[test]
fn every_source_file_says_first_what_it_is_for() {
    let rust = rust("").into_iter().filter(|file| !file.path.starts_with("tests/tests/ui/"));
    none(
        rust.filter(|file| !file.text.starts_with("//! "))
            .map(|file| format!("{}: the first line is no `//! ` sentence", file.path))
            .collect(),
    );
}

#[test]
fn no_source_file_is_longer_than_can_be_read_in_one_go() {
    let mut complaints = Vec::new();
    let rust = rust("");
    for Source { path, text } in &rust {
        let (lines, allowed) = (text.lines().count(), LONG.iter().any(|(long, _)| long == path));
        match (lines > LONGEST, allowed) {
            (true, false) => complaints.push(format!("{path}: {lines} lines, at most {LONGEST}")),
            (false, true) => complaints.push(format!("{path}: no longer long; take it off LONG")),
            _ => {}
        }
    }
    for (path, _) in LONG.iter().filter(|(path, _)| rust.iter().all(|file| file.path != *path)) {
        complaints.push(format!("{path}: is gone; take it off LONG"));
    }
    none(complaints);
}

#[test]
fn pure_files_touch_neither_sockets_files_threads_nor_clocks() {
    let mut complaints = Vec::new();
    let says_so = |text: &str| text.lines().any(|line| line.starts_with("//! Pure"));
    let is_pure = |file: &Source| {
        PURE.iter().any(|path| Path::new(&file.path).starts_with(path)) || says_so(&file.text)
    };
    let pure: Vec<_> = SHIPPED.iter().flat_map(|folder| rust(folder)).filter(is_pure).collect();
    assert!(
        PURE.iter().all(|path| pure.iter().any(|file| file.path.starts_with(path))),
        "{PURE:?}"
    );
    for Source { path, text } in pure {
        for (number, line) in shipped(&path, &text) {
            for word in WORLD.iter().filter(|word| line.contains(**word)) {
                complaints.push(format!("{path}:{number}: {word} in a pure file"));
            }
        }
    }
    none(complaints);
}

#[test]
fn shipped_code_owns_its_threads_bounds_its_queues_and_reads_one_clock() {
    let mut complaints = Vec::new();
    for Source { path, text } in SHIPPED.iter().flat_map(|folder| rust(folder)) {
        for (number, line) in shipped(&path, &text) {
            for (word, why, except) in BANNED {
                if line.contains(word) && path != except {
                    complaints.push(format!("{path}:{number}: {word}: {why}"));
                }
            }
        }
    }
    none(complaints);
}

#[test]
fn the_broker_touches_the_inside_of_libzmq_and_the_kernel_in_one_module() {
    let mut complaints = Vec::new();
    for Source { path, text } in rust("broker/src") {
        if path.starts_with("broker/src/libzmq/") {
            continue;
        }
        for (number, line) in shipped(&path, &text) {
            for word in ["zmq_sys", "TCP_INFO", "/proc/self/statm", "/proc/self/fd\"", "accept4"] {
                if line.contains(word) {
                    complaints
                        .push(format!("{path}:{number}: {word} belongs in broker/src/libzmq"));
                }
            }
        }
    }
    none(complaints);
}

#[test]
fn lines_of_the_log_are_fields_alone() {
    let mut complaints = Vec::new();
    for Source { path, text } in SHIPPED.iter().flat_map(|folder| rust(folder)) {
        let code: Vec<_> = shipped(&path, &text).map(|(_, line)| line.trim()).collect();
        let code = code.join(" ");
        for call in code.split("tracing::").skip(1) {
            let line = call.split(");").next().unwrap_or_default();
            if line.contains("event = ") && line.contains(", \"") {
                complaints
                    .push(format!("{path}: a message beside the fields (why=, what=): {line}"));
            }
        }
    }
    none(complaints);
}

#[test]
fn no_file_names_a_path_of_the_machine_it_was_written_on() {
    // Put together here, so that this file does not complain about itself.
    let paths = ["work", "root", "home"].map(|folder| format!("/{folder}/"));
    let mut complaints = Vec::new();
    for Source { path, text } in files("") {
        for (line, number) in text.lines().zip(1..) {
            for machine in paths.iter().filter(|machine| line.contains(machine.as_str())) {
                complaints.push(format!("{path}:{number}: {machine}"));
            }
        }
    }
    none(complaints);
}

fn rust(folder: &str) -> Vec<Source> {
    let mut files = files(folder);
    files.retain(|file| file.path.ends_with(".rs"));
    files
}

/// The lines that are compiled into the crate, with their numbers: no tests, no comments.
pub(crate) fn shipped<'a>(path: &str, text: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
    let lines = if is_test { "" } else { text }.lines().zip(1..);
    // Tests stand last in a file.
    let mut before = "";
    let lines = lines.take_while(move |(line, _)| {
        let tests = before == "#[cfg(test)]" && line.starts_with("mod ");
        before = line;
        !tests
    });
    lines.map(|(line, number)| (number, line.split_once("//").map_or(line, |(code, _)| code)))
}

#[test]
fn comments_and_tests_are_no_shipped_lines() {
    let text =
        "use a; // b\n//! c\n#[cfg(test)]\nuse d;\n#[cfg(test)]\nmod tests {\nthread::spawn\n}";
    let lines: Vec<_> =
        shipped("x/src/y.rs", text).map(|(number, line)| (number, line.trim())).collect();
    assert_eq!(
        lines,
        [(1, "use a;"), (2, ""), (3, "#[cfg(test)]"), (4, "use d;"), (5, "#[cfg(test)]")]
    );
    assert_eq!(shipped("x/src/y/tests.rs", text).count(), 0);
}
