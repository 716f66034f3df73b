//! The compiled samples: the functions of this folder, with attributes where they have a mark.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

pub(super) const EDITIONS: [&str; 4] = ["2015", "2018", "2021", "2024"];

/// Every mode of the attributes: its name and its attributes; `r: ` and `a: ` restrict it to these
/// marks.
pub(super) const MODES: [(&str, &str); 9] = [
    ("count", "#[zibrato::count_me]"),
    ("time", "#[zibrato::time_me]"),
    ("slow", r#"#[zibrato::time_me(slow("1s"), in_flight)]"#),
    ("sample", "#[zibrato::time_me(sample = 10)]"),
    ("outcomes", "#[zibrato::count_me(outcomes)]"),
    ("timed_outcomes", "#[zibrato::time_me(outcomes, in_flight, slow(\"1s\"))]"),
    ("err", r#"r: #[zibrato::time_me(err(level = "warn"))]"#),
    ("on_err", r#"r: #[zibrato::count_me(on = "err")]"#),
    ("busy", "a: #[zibrato::time_me(busy, polls)] #[zibrato::count_me(outcomes, polls)]"),
];

/// Several modes, one inside the other.
pub(super) const ALL: &str = "#[zibrato::count_me] #[zibrato::time_me(slow(\"1s\"), in_flight)] \
                              #[zibrato::count_me(outcomes)] #[zibrato::time_me(panic)]";

const FUNCTIONS: &str = include_str!("functions.rs");
const METHODS: &str = include_str!("methods.rs");

/// A file to compile.
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) edition: &'static str,
    pub(super) source: String,
    /// Whether the attributes wrap bodies in closures.
    pub(super) has_closures: bool,
}

impl Sample {
    /// The shapes with `on_functions` at the marks of functions, and `on_blocks` at those of impls.
    pub(super) fn new(
        name: &str,
        on_functions: &str,
        on_blocks: &str,
        edition: &'static str,
    ) -> Self {
        let methods = METHODS.lines().map(|line| if line.starts_with("//!") { "" } else { line });
        let mut lines = FUNCTIONS.lines().chain(methods).peekable();
        let mut source = format!("#![warn({})] ", lints().join(", "));
        while let Some(line) = lines.next() {
            // Code that an edition does not support becomes an empty line, and so does its mark.
            let is_known = |line: &str| edition != "2015" || !is_unknown_to_2015(line);
            let marked = mark(line).filter(|_| lines.peek().is_none_or(|next| is_known(next)));
            if let Some(kind) = marked {
                source.push_str(attributes(kind, on_functions, on_blocks));
                source.push(' ');
            }
            if is_known(line) {
                source.push_str(line);
            }
            source.push('\n');
        }
        if edition == "2015" {
            source = source.replace("use zibrato as _;", "extern crate zibrato;");
        }
        let has_closures = ["outcomes", "panic", "err"]
            .iter()
            .any(|word| on_functions.contains(word) || on_blocks.contains(word));
        Self { name: format!("{name}_{edition}"), edition, source, has_closures }
    }

    /// The same sample, with the findings expected at the marks of their functions.
    pub(super) fn expecting(mut self, lints: &BTreeMap<usize, BTreeSet<&str>>) -> Self {
        let lines: Vec<_> = self.source.lines().collect();
        let mut expectations: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
        for (&line, lints) in lints {
            let above = lines.iter().enumerate().take(line - 1).rev();
            let at = above.into_iter().find(|(_, line)| mark(line).is_some_and(|it| it != "impl"));
            if let Some((at, _)) = at {
                expectations.entry(at).or_default().extend(lints);
            }
        }
        let expecting = lines.iter().enumerate().map(|(at, line)| match expectations.get(&at) {
            None => format!("{line}\n"),
            Some(lints) => {
                let lints: Vec<_> = lints.iter().copied().collect();
                format!("#[expect({})] {line}\n", lints.join(", "))
            }
        });
        self.source = expecting.collect();
        self
    }
}

/// Code that edition 2015 does not support: futures, and the path to `core`.
fn is_unknown_to_2015(line: &str) -> bool {
    line.contains("async") || line.contains(" ::core")
}

/// The text after `//@`, if there is any.
fn mark(line: &str) -> Option<&str> {
    let (_, mark) = line.split_once("//@ ")?;
    Some(mark.trim_end_matches(" hidden"))
}

/// The attributes for a mark of this kind.
fn attributes<'a>(kind: &str, on_functions: &'a str, on_blocks: &'a str) -> &'a str {
    let given = if kind == "impl" { on_blocks } else { on_functions };
    match given.split_once(": ") {
        Some((only, attributes)) if kind.contains(only) => attributes,
        Some(_) => "",
        None => given,
    }
}

/// Whether the mark in this line is `hidden`.
pub(super) fn is_hidden_by_a_closure<'a>(
    lines: impl Iterator<Item = &'a str>,
    number: usize,
) -> bool {
    let lines: Vec<_> = lines.take(number - 1).collect();
    let above = lines.iter().rev().find(|line| mark(line).is_some());
    above.is_some_and(|line| line.ends_with(" hidden"))
}

/// Every lint of rustc by its name, and the groups of Clippy.
fn lints() -> Vec<String> {
    let help = Command::new("rustc").args(["-W", "help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (lints, _) = help.split_once("Lint groups provided by rustc").unwrap();
    let words = lints.lines().map(|line| line.split_whitespace());
    let named = words.filter_map(|mut words| {
        let (name, level) = (words.next()?, words.next()?);
        let is_level = ["allow", "warn", "deny", "forbid"].contains(&level);
        // The first lint is only about unstable features; the second one is a group of all lints.
        let is_other = ["unstable-features", "warnings"].contains(&name);
        (is_level && !is_other).then(|| name.replace('-', "_"))
    });
    let groups =
        ["all", "pedantic", "nursery", "restriction"].map(|name| format!("clippy::{name}"));
    named.chain(groups).collect()
}
