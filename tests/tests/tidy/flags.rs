//! The flag tables of the README are what `--help` says.

use super::rewrites;
use std::process::Command;
use zibrato_tests::{Running, program, repository};

/// Every daemon: the broker, and each worker in `workers/src/bin`.
fn daemons() -> Vec<String> {
    let mut names = vec!["zibrato-broker".to_owned()];
    for entry in std::fs::read_dir(repository().join("workers/src/bin")).unwrap() {
        let path = entry.unwrap().path();
        names.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
    }
    names.sort();
    names
}

#[test]
fn the_flag_tables_of_the_readme_are_what_help_says() {
    let path = repository().join("README.md");
    let mut readme = std::fs::read_to_string(&path).expect("README.md");
    let before = readme.clone();
    for daemon in daemons() {
        let begin = format!("<!-- flags: {daemon} -->\n");
        let end = "<!-- end -->";
        let (head, rest) = readme
            .split_once(&begin)
            .unwrap_or_else(|| panic!("README.md has no table of flags that begins {begin:?}"));
        let (_, tail) = rest.split_once(end).expect("an end after each table of flags");
        let table = table(&rows(&help(&daemon)));
        readme = format!("{head}{begin}{table}{end}{tail}");
    }
    if rewrites() {
        std::fs::write(&path, readme).unwrap();
        return;
    }
    let differs = before.lines().zip(readme.lines()).find(|(is, should)| is != should);
    assert!(
        before == readme,
        "README.md differs from --help, first at {differs:?}; \
         ZIBRATO_TIDY=write cargo test -p zibrato-tests --test tidy rewrites it"
    );
}

fn help(daemon: &str) -> String {
    let mut command = Command::new(program(daemon));
    // Wide, so that each flag has one line.
    let (status, help, log) = Running::run(command.arg("-h").env("COLUMNS", "2000"));
    assert!(status.success(), "{daemon} -h: {status} {log}");
    help
}

/// One flag: its name with its placeholder, its variable, its default, and what it is for.
type Row = [String; 4];

/// The flags of a help text, in its order; those that every program has are left out.
fn rows(help: &str) -> Vec<Row> {
    let flags = help.lines().map(str::trim).filter(|line| line.starts_with('-'));
    let rows = flags.filter_map(|line| {
        let (flag, text) = line.split_once("  ").unwrap_or((line, ""));
        // A short flag before the long one is left out.
        let flag = flag.find("--").and_then(|at| flag.get(at..)).unwrap_or(flag);
        if ["--help", "--version"].contains(&flag) {
            return None;
        }
        let (text, variable) = take(text.trim(), "env");
        let (text, default) = take(&text, "default");
        let code = |text: String| if text.is_empty() { text } else { format!("`{text}`") };
        let what = text.replace('|', "\\|");
        let variable = variable.trim_end_matches('=').to_owned();
        Some([code(flag.to_owned()), code(variable), code(default), what])
    });
    rows.collect()
}

/// Takes `[key: value]` out of a text; the value is empty when there is none.
fn take(text: &str, key: &str) -> (String, String) {
    let begin = format!("[{key}: ");
    let Some((head, rest)) = text.split_once(&begin) else {
        return (text.to_owned(), String::new());
    };
    let (value, tail) = rest.split_once(']').expect("a bracket that closes");
    (format!("{}{tail}", head.trim_end()), value.to_owned())
}

fn table(rows: &[Row]) -> String {
    let head = "| flag | variable | default | what |\n|---|---|---|---|\n".to_owned();
    rows.iter().fold(head, |table, row| format!("{table}| {} |\n", row.join(" | ")))
}

#[test]
fn a_help_text_is_read_flag_by_flag() {
    let help = "Does it\n\nUsage: x [OPTIONS]\n\nOptions:\n      --flush <SECONDS>  How a|b [env: X_FLUSH] [default: 60]\n  \
                -c, --check            Only check [env: X_CHECK=]\n  -h, --help             Print help\n\nExamples:\n  x --flush 1\n";
    assert_eq!(
        table(&rows(help)),
        "| flag | variable | default | what |\n|---|---|---|---|\n\
         | `--flush <SECONDS>` | `X_FLUSH` | `60` | How a\\|b |\n\
         | `--check` | `X_CHECK` |  | Only check |\n"
    );
}
