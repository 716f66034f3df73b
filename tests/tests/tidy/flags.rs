//! The tables of docs/flags.md equal `--help`.

use super::backends::{TAIL, workers};
use super::rewrites;
use std::collections::BTreeMap;
use std::process::Command;
use zibrato_tests::{Running, program, repository};

const FILE: &str = "docs/flags.md";

const SLACK: &str = "zibrato-slack";

/// Its commands with flags of their own, which have tables of their own.
const OF_SLACK: [&str; 5] = ["init", "recv", "relay", "rules", "send"];

/// Every daemon: the broker, and each worker in `workers/src/bin`.
fn daemons() -> Vec<String> {
    let mut names = workers();
    names.push("zibrato-broker".to_owned());
    names.sort();
    names
}

#[test]
fn the_tables_of_flags_equal_the_help() {
    let path = repository().join(FILE);
    let mut text = std::fs::read_to_string(&path).expect(FILE);
    let before = text.clone();
    for (name, table) in tables() {
        let begin = format!("<!-- {name} -->\n");
        let end = "<!-- end -->";
        let (head, rest) = text
            .split_once(&begin)
            .unwrap_or_else(|| panic!("{FILE} has no table that begins {begin:?}"));
        let (_, tail) = rest.split_once(end).expect("an end after each table of flags");
        text = format!("{head}{begin}{table}{end}{tail}");
    }
    if rewrites() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let differs = before.lines().zip(text.lines()).find(|(is, should)| is != should);
    assert!(
        before == text,
        "{FILE} differs from --help, first at {differs:?}; \
         ZIBRATO_TIDY=write cargo test -p zibrato-tests --test tidy rewrites it"
    );
}

/// All generated tables: those of all programs, of all workers, and of each program. The tables of
/// the workers include their headings.
fn tables() -> BTreeMap<String, String> {
    let all: BTreeMap<_, _> =
        daemons().into_iter().map(|name| (name.clone(), rows(&name, &help(&name, &[])))).collect();
    let common = shared(all.values());
    let backends = || all.iter().filter(|(name, _)| *name != TAIL && *name != "zibrato-broker");
    let workers = without(&shared(backends().map(|(_, rows)| rows)), &common);
    let mut tables = BTreeMap::new();
    tables.insert("flags: all programs".to_owned(), table(&common));
    tables.insert("flags: all workers".to_owned(), table(&workers));
    let mut sections = String::new();
    for (name, rows) in &all {
        let own = without(rows, &common);
        if name == "zibrato-broker" {
            tables.insert(format!("flags: {name}"), table(&own));
            continue;
        }
        let own = if name == TAIL { own } else { without(&own, &workers) };
        let text = help(name, &[]);
        let about = text.lines().next().unwrap();
        sections += &format!("\n## {name}\n\n{about}.\n\n{}", table(&own));
    }
    tables.insert("flags: each worker".to_owned(), sections + "\n");

    let all: BTreeMap<_, _> =
        daemons().into_iter().map(|name| (name.clone(), lines(&name))).collect();
    let common = shared(all.values());
    let of = |name: &str| without(&all[name], &common);
    let worker = backends().map(|(name, _)| of(name)).collect::<Vec<_>>();
    // `send` of zibrato-slack is another command.
    let same = |lines: &Vec<[String; 2]>| {
        lines.iter().filter(|line| !line[0].starts_with("`send")).cloned().collect::<Vec<_>>()
    };
    let is_same = worker.windows(2).all(|two| same(&two[0]) == same(&two[1]));
    assert!(is_same, "workers have different subcommands");
    assert_eq!(of(TAIL), [[""; 2]; 0], "{TAIL} has subcommands of its own: give them a table");
    tables.insert("commands: all programs".to_owned(), commands(&common));
    tables.insert("commands: all workers".to_owned(), commands(&worker[0]));
    tables.insert("commands: zibrato-broker".to_owned(), commands(&of("zibrato-broker")));
    tables.extend(of_slack());
    tables
}

/// The tables of the commands of zibrato-slack with flags of their own: those of the metric bus, and
/// `rules check`.
fn of_slack() -> [(String, String); 3] {
    let check = ["rules", "check"];
    let rules = help(SLACK, &check);
    let rules = command(&check.join(" "), &rules, &rows(SLACK, &rules));
    let relay = rows(SLACK, &help(SLACK, &["relay"]));
    let mut lines = Vec::new();
    for name in ["init", "send", "recv", "relay"] {
        let text = help(SLACK, &[name]);
        lines.extend(command(name, &text, &without(&rows(SLACK, &text), &relay)));
    }
    let common = rows("zibrato-carbon", &help("zibrato-carbon", &[]));
    [
        ("commands: zibrato-slack".to_owned(), commands(&lines)),
        ("commands: zibrato-slack rules".to_owned(), commands(&rules)),
        ("flags: zibrato-slack".to_owned(), table(&without(&relay, &common))),
    ]
}

/// The items that all of these have, in the order of the first.
fn shared<'a, T: Clone + PartialEq + 'a>(mut all: impl Iterator<Item = &'a Vec<T>>) -> Vec<T> {
    let mut shared = all.next().unwrap().clone();
    for other in all {
        shared.retain(|one| other.contains(one));
    }
    shared
}

fn without<T: Clone + PartialEq>(all: &[T], some: &[T]) -> Vec<T> {
    all.iter().filter(|one| !some.contains(one)).cloned().collect()
}

fn help(daemon: &str, path: &[&str]) -> String {
    let mut command = Command::new(program(daemon));
    // Wide, so that each flag has one line.
    let (status, help, log) = Running::run(command.args(path).arg("-h").env("COLUMNS", "2000"));
    assert!(status.success(), "{daemon} {path:?} -h: {status} {log}");
    help
}

/// One flag: its name with its placeholder, its default, and its meaning.
type Row = [String; 3];

/// The flags of a help text, in its order, without `--help` and `--version`.
///
/// # Panics
/// If a flag of the program has a variable that does not follow the rule.
fn rows(daemon: &str, help: &str) -> Vec<Row> {
    let flags = help.lines().map(str::trim).filter(|line| line.starts_with('-'));
    let rows = flags.filter_map(|line| {
        let (flag, text) = line.split_once("  ").unwrap_or((line, ""));
        // A short flag before the long one is omitted.
        let flag = flag.find("--").and_then(|at| flag.get(at..)).unwrap_or(flag);
        if ["--help", "--version"].contains(&flag) {
            return None;
        }
        let (text, variable) = take(text.trim(), "env");
        if !variable.is_empty() {
            let long = flag.trim_start_matches('-').split(' ').next().unwrap();
            let rule = format!("{daemon}_{long}").replace('-', "_").to_uppercase();
            assert_eq!(variable.trim_end_matches('='), rule, "{FILE} has another rule");
        }
        let (text, default) = take(&text, "default");
        let code = |text: String| if text.is_empty() { text } else { format!("`{text}`") };
        Some([code(flag.to_owned()), code(default), text.replace('|', "\\|")])
    });
    rows.collect()
}

/// Removes `[key: value]` from a text; the value is empty if there is none.
fn take(text: &str, key: &str) -> (String, String) {
    let begin = format!("[{key}: ");
    let Some((head, rest)) = text.split_once(&begin) else {
        return (text.to_owned(), String::new());
    };
    let (value, tail) = rest.split_once(']').expect("a bracket that closes");
    (format!("{}{tail}", head.trim_end()), value.to_owned())
}

fn table(rows: &[Row]) -> String {
    let head = "| flag | default | meaning |\n|---|---|---|\n".to_owned();
    rows.iter().fold(head, |table, row| format!("{table}| {} |\n", row.join(" | ")))
}

/// The subcommands of a daemon, each followed by its own arguments and flags: the text to type, and
/// its meaning.
fn lines(daemon: &str) -> Vec<[String; 2]> {
    let of_program = rows(daemon, &help(daemon, &[]));
    let mut lines = Vec::new();
    let mut paths = vec![Vec::new()];
    while let Some(path) = paths.pop() {
        let args: Vec<&str> = path.iter().map(String::as_str).collect();
        let text = help(daemon, &args);
        let below = section(&text, "Commands:");
        let is_elsewhere =
            |name: &str| daemon == SLACK && path.is_empty() && OF_SLACK.contains(&name);
        let below = below.filter(|(name, _)| *name != "help" && !is_elsewhere(name));
        let below: Vec<_> =
            below.map(|(name, _)| [&path[..], &[name.to_owned()]].concat()).collect();
        if below.is_empty() && !path.is_empty() {
            // If a flag of the program has another meaning here, only the help of the subcommand
            // has it.
            let mut own = rows(daemon, &text);
            own.retain(|row| of_program.iter().all(|other| other[0] != row[0]));
            lines.extend(command(&path.join(" "), &text, &own));
        }
        paths.extend(below.into_iter().rev());
    }
    lines
}

/// One subcommand of a daemon, with its own arguments and flags.
fn command(words: &str, help: &str, flags: &[Row]) -> Vec<[String; 2]> {
    let mut lines = vec![[format!("`{words}`"), help.lines().next().unwrap().to_owned()]];
    for (argument, what) in section(help, "Arguments:") {
        lines.push([format!("`{words} {argument}`"), take(what, "possible values").0]);
    }
    for [flag, default, what] in flags {
        let flag = flag.trim_matches('`');
        let default =
            if default.is_empty() { String::new() } else { format!(". Defaults to {default}") };
        lines.push([format!("`{words} {flag}`"), format!("{what}{default}")]);
    }
    lines
}

/// The lines of a section of a help text: the word, and its meaning.
fn section<'a>(help: &'a str, head: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let lines = help.lines().skip_while(move |line| *line != head).skip(1);
    let lines = lines.take_while(|line| line.starts_with("  "));
    lines.filter_map(|line| line.trim().split_once("  ")).map(|(word, what)| (word, what.trim()))
}

fn commands(lines: &[[String; 2]]) -> String {
    let head = "| command | meaning |\n|---|---|\n".to_owned();
    lines.iter().fold(head, |table, line| format!("{table}| {} |\n", line.join(" | ")))
}

#[test]
fn a_help_text_is_read_flag_by_flag() {
    let help = "Does it\n\nUsage: x [OPTIONS]\n\nOptions:\n      --flush <SECONDS>  How a|b [env: X_FLUSH] [default: 60]\n  \
                -c, --check            Only check [env: X_CHECK=]\n  -h, --help             Print help\n\nExamples:\n  x --flush 1\n";
    assert_eq!(
        table(&rows("x", help)),
        "| flag | default | meaning |\n|---|---|---|\n\
         | `--flush <SECONDS>` | `60` | How a\\|b |\n\
         | `--check` |  | Only check |\n"
    );
}

#[test]
fn a_subcommand_is_followed_by_its_arguments_and_flags() {
    let help = "Move it\n\nUsage: x reset <NAME>\n\nArguments:\n  <NAME>  Whose [possible values: a, b]\n\nOptions:\n      --to <PLACE>  Where to [default: end]\n";
    let lines = command("reset", help, &rows("x", help));
    assert_eq!(
        commands(&lines),
        "| command | meaning |\n|---|---|\n\
         | `reset` | Move it |\n\
         | `reset <NAME>` | Whose |\n\
         | `reset --to <PLACE>` | Where to. Defaults to `end` |\n"
    );
}
