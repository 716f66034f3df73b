//! A configuration of bucky, as `zibrato-broker bucky-config` translates it.

use anyhow::{Context as _, ensure};
use std::process::Command;
use toml::{Table, Value};
use zibrato_tests::program;

/// The programs whose configuration it prints.
const PROGRAMS: [&str; 3] = ["broker", "carbon-statsd", "carbon-hosts"];

/// The translation of a file.
#[derive(Debug)]
pub(crate) struct Translated {
    programs: Vec<(&'static str, Table)>,
    notes: Vec<String>,
}

impl Translated {
    pub(crate) fn new(text: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("bucky.conf");
        std::fs::write(&file, text)?;
        let (mut programs, mut notes) = (Vec::new(), Vec::new());
        for name in PROGRAMS {
            let mut command = Command::new(program("zibrato-broker"));
            let output = command.arg("bucky-config").arg(&file).args(["--for", name]).output()?;
            let printed = String::from_utf8(output.stdout)?;
            let error = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "bucky-config --for {name}: {error}");
            let table = printed.parse::<Table>().with_context(|| printed.clone())?;
            if name == "broker" {
                let lines = printed.lines().filter_map(|line| line.strip_prefix("# "));
                notes.extend(lines.filter(|line| line.starts_with("line ")).map(str::to_owned));
            }
            programs.push((name, table));
        }
        Ok(Self { programs, notes })
    }

    /// The values of a key of a program; none if it is not set.
    pub(crate) fn texts(&self, program: &str, key: &str) -> Vec<String> {
        let table = self.programs.iter().find(|(name, _)| *name == program).map(|(_, table)| table);
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Boolean(is) => is.to_string(),
            other => format!("{other:?}"),
        };
        match table.and_then(|table| table.get(key)) {
            Some(Value::Array(all)) => all.iter().map(text).collect(),
            Some(one) => vec![text(one)],
            None => Vec::new(),
        }
    }

    /// The comments about lines that are not translated.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The same.
    pub(crate) fn broker_notes(&self) -> impl Iterator<Item = &String> {
        self.notes.iter()
    }
}
