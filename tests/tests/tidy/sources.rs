//! Rules for source files: a first sentence, a maximum length, and forbidden calls.

use super::{Source, files, none};
use std::path::Path;

/// Files that may be longer than [`LONGEST`] lines, and why.
const LONG: [(&str, &str); 0] = [];

const LONGEST: usize = 400;

/// Files and folders that take bytes and times as arguments, and open nothing. So does every file
/// with `//! Pure` in its head, such as those of the workers and backends.
const PURE: [&str; 10] = [
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

/// The items that pure files must not use.
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

/// Forbidden calls in shipped crates, the reason, and the one file that may use them.
const BANNED: [(&str, &str, &str); 4] = [
    ("thread::spawn", "threads have a name and an owner: std::thread::Builder", ""),
    ("unbounded(", "every queue is bounded", ""),
    ("mpsc::channel(", "every queue is bounded", ""),
    ("SystemTime::now", "the wall clock is read in one place", "zibrato/src/clock.rs"),
];

const SHIPPED: [&str; 4] = ["broker/src", "workers/src", "zibrato/src", "zibrato-macros/src"];

#[test]
fn every_source_file_begins_with_its_purpose() {
    let rust = rust("").into_iter().filter(|file| !file.path.starts_with("tests/tests/ui/"));
    none(
        rust.filter(|file| !file.text.starts_with("//! "))
            .map(|file| format!("{}: the first line is not a `//! ` sentence", file.path))
            .collect(),
    );
}

#[test]
fn no_source_file_is_too_long() {
    let mut problems = Vec::new();
    let rust = rust("");
    for Source { path, text } in &rust {
        let (lines, allowed) = (text.lines().count(), LONG.iter().any(|(long, _)| long == path));
        match (lines > LONGEST, allowed) {
            (true, false) => problems.push(format!("{path}: {lines} lines, at most {LONGEST}")),
            (false, true) => {
                problems.push(format!("{path}: no longer too long; remove it from LONG"))
            }
            _ => {}
        }
    }
    for (path, _) in LONG.iter().filter(|(path, _)| rust.iter().all(|file| file.path != *path)) {
        problems.push(format!("{path}: does not exist; remove it from LONG"));
    }
    none(problems);
}

#[test]
fn pure_files_use_no_sockets_files_threads_or_clocks() {
    let mut problems = Vec::new();
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
                problems.push(format!("{path}:{number}: {word} in a pure file"));
            }
        }
    }
    none(problems);
}

#[test]
fn shipped_code_owns_its_threads_limits_its_queues_and_reads_one_clock() {
    let mut problems = Vec::new();
    for Source { path, text } in SHIPPED.iter().flat_map(|folder| rust(folder)) {
        for (number, line) in shipped(&path, &text) {
            for (word, why, except) in BANNED {
                if line.contains(word) && path != except {
                    problems.push(format!("{path}:{number}: {word}: {why}"));
                }
            }
        }
    }
    none(problems);
}

#[test]
fn only_one_module_of_the_broker_uses_internals_of_libzmq_and_the_kernel() {
    let mut problems = Vec::new();
    for Source { path, text } in rust("broker/src") {
        if path.starts_with("broker/src/libzmq/") {
            continue;
        }
        for (number, line) in shipped(&path, &text) {
            for word in ["zmq_sys", "TCP_INFO", "/proc/self/statm", "/proc/self/fd\"", "accept4"] {
                if line.contains(word) {
                    problems.push(format!("{path}:{number}: {word} belongs in broker/src/libzmq"));
                }
            }
        }
    }
    none(problems);
}

#[test]
fn log_lines_consist_of_fields() {
    let mut problems = Vec::new();
    for Source { path, text } in SHIPPED.iter().flat_map(|folder| rust(folder)) {
        let code: Vec<_> = shipped(&path, &text).map(|(_, line)| line.trim()).collect();
        let code = code.join(" ");
        for call in code.split("tracing::").skip(1) {
            let line = call.split(");").next().unwrap_or_default();
            if line.contains("event = ") && line.contains(", \"") {
                problems.push(format!("{path}: a message beside the fields (why=, what=): {line}"));
            }
        }
    }
    none(problems);
}

#[test]
fn no_file_contains_a_path_of_a_development_machine() {
    // Composed here, so that this file itself is not reported.
    let paths = ["work", "root", "home"].map(|folder| format!("/{folder}/"));
    let mut problems = Vec::new();
    for Source { path, text } in files("") {
        for (line, number) in text.lines().zip(1..) {
            for machine in paths.iter().filter(|machine| line.contains(machine.as_str())) {
                problems.push(format!("{path}:{number}: {machine}"));
            }
        }
    }
    none(problems);
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
    // Tests are last in a file.
    let mut before = "";
    let lines = lines.take_while(move |(line, _)| {
        let tests = before == "#[cfg(test)]" && line.starts_with("mod ");
        before = line;
        !tests
    });
    lines.map(|(line, number)| (number, line.split_once("//").map_or(line, |(code, _)| code)))
}

#[test]
fn comments_and_tests_are_not_shipped_lines() {
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
