//! Rules for the samples of intakes: declarative rules from a file in TOML, and a script in Rhai.
//!
//! ```text
//! sample ─▶ converter (CollectD) ─▶ first rule that matches ─▶ process(…) ─▶ published
//!              script                rename, scale, drop …       script
//! ```
//!
//! A rule depends on the series alone, so an intake may [resolve](Rules::resolve) a series once. A
//! script sees each value, so while [`Rules::needs_each_value`] is true, an intake must
//! [apply](Rules::apply) the rules to each sample. `docs/rules.md` describes the file.

mod file;
mod pattern;
mod rule;
mod sample;
#[cfg_attr(not(feature = "scripts"), path = "no_script.rs")]
mod script;
mod template;

pub(crate) use rule::{Change, Dropped, Rule};
pub(crate) use sample::{Collectd, Protocol, Series, Value};

use file::{File, Problem};
use script::Script;
use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use zibrato::check_name;

/// The rules of a file and its script.
#[derive(Debug)]
pub(crate) struct Rules {
    /// In the order in which they are tried.
    rules: Vec<Rule>,
    script: Option<Script>,
    drop_on_error: bool,
}

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RulesError {
    /// A file has an error.
    #[error("{}:{line}:{column}: {why}", path.display())]
    Invalid { path: PathBuf, line: usize, column: usize, why: String },
}

/// What rules make of a series.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    /// The rule that matched, as a place in the list of rules.
    pub(crate) rule: Option<usize>,
    pub(crate) change: Result<Change, Dropped>,
}

/// What rules and scripts make of a sample.
#[derive(Debug)]
pub(crate) struct Applied<'a> {
    /// The rule that matched, as a place in the list of rules.
    pub(crate) rule: Option<usize>,
    pub(crate) result: Result<Output<'a>, Dropped>,
    /// The error of a script that did not drop the sample.
    pub(crate) error: Option<String>,
}

/// A sample to publish.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Output<'a> {
    pub(crate) level: Cow<'a, str>,
    /// Empty if there is none.
    pub(crate) host: Cow<'a, str>,
    pub(crate) name: Cow<'a, str>,
    /// In ascending order of the tags.
    pub(crate) tags: Cow<'a, [(String, String)]>,
    pub(crate) value: Value<'a>,
    /// In Unix seconds.
    pub(crate) time: f64,
}

impl Rules {
    /// Parses a rules file. `read` reads the script, whose path is relative to the folder of the file.
    pub(crate) fn parse(
        path: &Path,
        text: &str,
        read: impl FnOnce(&Path) -> io::Result<String>,
    ) -> Result<Self, RulesError> {
        let invalid = |path: &Path, Problem { line, column, why }: Problem| RulesError::Invalid {
            path: path.to_owned(),
            line,
            column,
            why,
        };
        let file = File::parse(text).map_err(|problem| invalid(path, problem))?;
        let File { rules, script, drop_on_error, converters } = file;
        let script = match script {
            Some(named) => {
                let at = path.with_file_name(named.get_ref());
                let source = read(&at).map_err(|error| {
                    let why = format!("the script {}: {error}", at.display());
                    invalid(path, file::problem(text, named.span(), why))
                })?;
                let functions = converters.into_iter().map(|(plugin, f)| (plugin, f.into_inner()));
                let compiled = Script::compile(&source, functions.collect());
                Some(compiled.map_err(|problem| invalid(&at, problem))?)
            }
            None => None,
        };
        Ok(Self { rules, script, drop_on_error })
    }

    /// The rules, in the order in which they are tried.
    pub(crate) fn list(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether [`apply`](Self::apply) must be called for each sample, because a script sees its value.
    pub(crate) fn needs_each_value(&self) -> bool {
        self.script.as_ref().is_some_and(Script::processes)
    }

    /// Finds the first rule that matches a series, and what it makes of it. The result may be kept for
    /// as long as the rules are.
    pub(crate) fn resolve(&self, series: &Series<'_>) -> Decision {
        let rule = self.rules.iter().position(|rule| rule.matches(series));
        let change = rule.map_or(Ok(Change::NONE), |rule| self.rules[rule].change(series));
        Decision { rule, change }
    }

    /// Applies the converter, the rules and the script to one sample. `now` is what scripts get from
    /// `now()`; both times are Unix seconds.
    pub(crate) fn apply<'a>(
        &self,
        series: Series<'a>,
        value: Value<'a>,
        time: f64,
        now: f64,
    ) -> Applied<'a> {
        let converted = match self.convert(&series, &value, time, now).transpose() {
            Ok(converted) => converted,
            // As in bucky, a converter that fails drops the sample.
            Err(why) => return Applied { rule: None, result: Err(why), error: None },
        };
        let named = converted.as_deref().map_or(series, |name| Series { name, ..series });
        let Decision { rule, change } = self.resolve(&named);
        let Change { name, host, level, tags, scale } = match change {
            Ok(change) => change,
            Err(why) => return Applied { rule, result: Err(why), error: None },
        };
        let value = match value {
            Value::Number(number) => Value::Number(number * scale),
            Value::Member(member) => Value::Member(member),
        };
        let output = Output {
            level: level
                .map_or(Cow::Borrowed(series.level), |level| level.as_str().to_owned().into()),
            host: host.map_or(Cow::Borrowed(series.host), Cow::Owned),
            name: name.or(converted).map_or(Cow::Borrowed(series.name), Cow::Owned),
            tags: tags.map_or(Cow::Borrowed(series.tags), Cow::Owned),
            value,
            time,
        };
        let (result, error) = self.process(output, now);
        Applied { rule, result, error }
    }

    fn convert(
        &self,
        series: &Series<'_>,
        value: &Value<'_>,
        time: f64,
        now: f64,
    ) -> Option<Result<String, Dropped>> {
        let script = self.script.as_ref()?;
        let function = script.converter(series.collectd?.plugin)?;
        Some(script.convert(function, series, value, time, now))
    }

    /// Calls the script's function `process`, if there is one.
    fn process<'a>(
        &self,
        output: Output<'a>,
        now: f64,
    ) -> (Result<Output<'a>, Dropped>, Option<String>) {
        let Some(script) = self.script.as_ref().filter(|script| script.processes()) else {
            return (Ok(output), None);
        };
        let Output { host, name, value, time, .. } = &output;
        let processed = script.process([host, name], value, *time, now).and_then(checked);
        match processed {
            Ok((host, name, value, time)) => {
                let (host, name) = (Cow::Owned(host), Cow::Owned(name));
                (Ok(Output { host, name, value, time, ..output }), None)
            }
            Err(Dropped::Failed(why)) if !self.drop_on_error => (Ok(output), Some(why)),
            Err(why) => (Err(why), None),
        }
    }
}

/// What a script returns, if it is valid. An empty host is none.
fn checked<'a>(
    (host, name, value, time): (String, String, Value<'a>, f64),
) -> Result<(String, String, Value<'a>, f64), Dropped> {
    let member = match &value {
        Value::Member(member) => Some(("member", &**member)),
        Value::Number(_) => None,
    };
    let host_text = (!host.is_empty()).then_some(("host", &*host));
    for (what, text) in host_text.into_iter().chain([("name", &*name)]).chain(member) {
        if let Err(problem) = check_name(text) {
            let why = format!("process: it returned the {what} {text:?}, which {problem}");
            return Err(Dropped::Failed(why));
        }
    }
    Ok((host, name, value, time))
}

#[cfg(test)]
mod tests;
