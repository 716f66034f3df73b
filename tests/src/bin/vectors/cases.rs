//! Files of cases.

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use std::fmt;

/// A case, and where it is.
#[derive(Debug)]
pub(crate) struct Case {
    file: String,
    line: usize,
    pub(crate) value: Value,
}

/// Reads files with a case per line.
pub(crate) fn read(files: &[String]) -> anyhow::Result<Vec<Case>> {
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| file.clone())?;
        for (line, text) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let place = || format!("{file}:{line}");
            let value: Value = serde_json::from_str(text).with_context(place)?;
            ensure!(value.is_object(), "{}: a case is a JSON object", place());
            let case = Case { file: file.clone(), line, value };
            ensure!(!case.kind().is_empty(), "{}: the case has no field `kind`", place());
            all.push(case);
        }
    }
    Ok(all)
}

impl Case {
    pub(crate) fn kind(&self) -> &str {
        let kind = self.value["kind"].as_str().or_else(|| self.value["group"].as_str());
        kind.unwrap_or_default()
    }

    /// Checks that it has the fields that all cases have.
    pub(crate) fn complete(&self) -> anyhow::Result<()> {
        // Calls have other fields, which their checks read.
        if self.value["call"].is_string() {
            return Ok(());
        }
        if self.value.get("input").is_none() && self.value.get("input_hex").is_none() {
            bail!("the case has no field `input` or `input_hex`");
        }
        match self.value.get("expect") {
            None => bail!("the case has no field `expect`"),
            Some(_) => Ok(()),
        }
    }
}

/// Place, id, kind and note.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, value } = self;
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        write!(f, "{file}:{line} {} {} ({})", text("id"), self.kind(), text("note"))
    }
}
