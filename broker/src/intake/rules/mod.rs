//! Rules for the samples of intakes: declarative rules from a file in TOML, and a script in Rhai.
//!
//! ```text
//! sample ─▶ converter (CollectD) ─▶ first rule that matches ─▶ process(…) ─▶ published
//!              script                rename, scale, drop …       script
//! ```
//!
//! [`IntakeContext`](super::IntakeContext) applies them to all that intakes give it: to each sample of
//! CollectD, and once a second to each series of protocols that are aggregated. `docs/rules.md`
//! describes the file.

#[cfg(feature = "scripts")]
mod budget;
mod file;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
#[cfg(test)]
pub(crate) mod page;
mod pattern;
pub(crate) mod readings;
mod rule;
mod sample;
#[cfg_attr(not(feature = "scripts"), path = "no_script.rs")]
mod script;
mod script_time;
mod store;
mod template;

pub(crate) use rule::{Change, Dropped, Rule};
pub(crate) use sample::{Collectd, Series};
pub(crate) use script_time::ScriptTime;
pub(crate) use store::{RulesReader, RulesStore};

use file::{File, Problem};
use script::Script;
use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use zibrato::{Kind, check_name};

/// The rules of a file and its script.
#[derive(Debug)]
pub(crate) struct Rules {
    /// In the order in which they are tried.
    rules: Vec<Rule>,
    script: Option<Script>,
    drop_on_error: bool,
    warnings: Vec<String>,
}

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The rules file cannot be read.
    #[error("{}: {source}", path.display())]
    #[non_exhaustive]
    Read {
        /// The file.
        path: PathBuf,
        /// The error.
        #[source]
        source: io::Error,
    },
    /// The rules file or its script has an error.
    #[error("{}:{line}:{column}: {why}", path.display())]
    #[non_exhaustive]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line of the error, from 1 on.
        line: usize,
        /// Column of the error, from 1 on.
        column: usize,
        /// What is wrong, and how to mend it.
        why: String,
    },
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
    /// Why a script has not changed the sample, which is published nevertheless.
    pub(crate) error: Option<Dropped>,
}

/// A sample to publish.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Output<'a> {
    pub(crate) level: Cow<'a, str>,
    /// Empty if there is none.
    pub(crate) host: Cow<'a, str>,
    pub(crate) name: Cow<'a, str>,
    /// All tags, if they change.
    pub(crate) tags: Option<Vec<(String, String)>>,
    /// What readings are multiplied by. The value is already multiplied.
    pub(crate) scale: f64,
    pub(crate) value: f64,
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
        let File { rules, script, drop_on_error, converters, warnings } = file;
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
        Ok(Self { rules, script, drop_on_error, warnings })
    }

    /// Rules that probably never match.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The rules, in the order in which they are tried.
    pub(crate) fn list(&self) -> &[Rule] {
        &self.rules
    }

    /// The levels that rules set.
    pub(crate) fn levels(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter_map(Rule::level)
    }

    /// The function that names the values of a plugin of CollectD.
    pub(crate) fn converter(&self, plugin: &str) -> Option<&str> {
        self.script.as_ref()?.converter(plugin)
    }

    /// Finds the first rule that matches a series, and what it makes of it. That depends on the
    /// series alone, not on its values.
    pub(crate) fn resolve(&self, series: &Series<'_>) -> Decision {
        let rule = self.rules.iter().position(|rule| rule.matches(series));
        let change = rule.map_or(Ok(Change::NONE), |rule| self.rules[rule].change(series));
        Decision { rule, change }
    }

    /// Applies the converter, the rules and the script to one sample. `now` is what scripts get from
    /// `now()`; both times are Unix seconds. `value` stands for the readings of a series: the number of
    /// members of a set, the mean of a timer or a histogram.
    pub(crate) fn apply<'a>(
        &self,
        series: Series<'a>,
        (value, time): (f64, f64),
        now: f64,
        script_time: &mut ScriptTime,
    ) -> Applied<'a> {
        let converted = match self.convert(&series, (value, time), now, script_time).transpose() {
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
        let scaled = if series.kind == Kind::Set { value } else { value * scale };
        if !scaled.is_finite() {
            let why = format!("the value {value} times {scale} is infinite");
            return Applied { rule, result: Err(Dropped::Invalid(why.into())), error: None };
        }
        let level = level.map(|level| Cow::Owned(level.as_str().to_owned()));
        let output = Output {
            level: level.unwrap_or(Cow::Borrowed(series.level)),
            host: host.map_or(Cow::Borrowed(series.host), Cow::Owned),
            name: name.or(converted).map_or(Cow::Borrowed(series.name), Cow::Owned),
            tags,
            scale,
            value: scaled,
            time,
        };
        let (result, error) = self.process(output, series.has_fixed_value(), now, script_time);
        Applied { rule, result, error }
    }

    fn convert(
        &self,
        series: &Series<'_>,
        (value, time): (f64, f64),
        now: f64,
        script_time: &mut ScriptTime,
    ) -> Option<Result<String, Dropped>> {
        let script = self.script.as_ref()?;
        let function = script.converter(series.collectd?.plugin)?;
        let called = script_time.call(|| script.convert(function, series, value, time, now));
        Some(called.unwrap_or(Err(Dropped::OutOfTime)))
    }

    /// Calls the script's function `process`, if there is one.
    fn process<'a>(
        &self,
        output: Output<'a>,
        has_fixed_value: bool,
        now: f64,
        script_time: &mut ScriptTime,
    ) -> (Result<Output<'a>, Dropped>, Option<Dropped>) {
        let Some(script) = self.script.as_ref().filter(|script| script.processes()) else {
            return (Ok(output), None);
        };
        let before = output.value;
        let processed = script_time
            .call(|| script.process([&output.host, &output.name], before, output.time, now));
        match processed.unwrap_or(Err(Dropped::OutOfTime)).and_then(checked) {
            Ok((_, _, value, _)) if has_fixed_value && value != before => {
                let why = "process: the value of a timer, histogram or set cannot be changed; use \
                           scale in a rule";
                self.failed(output, Dropped::Failed(why.to_owned()))
            }
            Ok((host, name, value, time)) => {
                let (host, name) = (Cow::Owned(host), Cow::Owned(name));
                (Ok(Output { host, name, value, time, ..output }), None)
            }
            Err(why @ (Dropped::Failed(_) | Dropped::OutOfTime)) => self.failed(output, why),
            Err(why) => (Err(why), None),
        }
    }

    fn failed<'a>(
        &self,
        output: Output<'a>,
        why: Dropped,
    ) -> (Result<Output<'a>, Dropped>, Option<Dropped>) {
        if self.drop_on_error { (Err(why), None) } else { (Ok(output), Some(why)) }
    }
}

/// What a script returns, if it is valid. An empty host is none.
fn checked(
    (host, name, value, time): (String, String, f64, f64),
) -> Result<(String, String, f64, f64), Dropped> {
    let host_text = (!host.is_empty()).then_some(("host", &*host));
    for (what, text) in host_text.into_iter().chain([("name", &*name)]) {
        if let Err(problem) = check_name(text) {
            let why = format!("process: it returned the {what} {text:?}, which {problem}");
            return Err(Dropped::Failed(why));
        }
    }
    Ok((host, name, value, time))
}

#[cfg(test)]
mod tests;
