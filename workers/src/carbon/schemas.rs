//! Carbon's storage-schemas.conf: which retention a name gets, and whether windows fit it.
//!
//! Carbon takes the first section whose pattern is found in a name. A name that matches none keeps a
//! point per minute.

mod retention;

use super::config_file;
use super::ini::{self, IniError};
use super::pattern::{Case, Pattern};
use crate::backend::Payload;
use retention::Retention;
use std::path::Path;
use std::time::Duration;
use zibrato::Gauge;
use zibrato::window::Window;
use zibrato::wire::{BatchReader, BatchWriter};

/// Maximum number of names that are matched per window; the next window continues behind them.
const MAX_NAMES: usize = 20_000;

/// The interval of Carbon's own default, in seconds.
const DEFAULT_SECONDS: u64 = 60;

/// A section with a pattern and retentions.
#[derive(Debug, Clone)]
struct Section {
    name: String,
    /// `None` for Carbon's own default, which matches everything.
    pattern: Option<Pattern>,
    /// The interval of the finest retention, in seconds.
    precision: u64,
    /// Whether it is known that windows do not fit.
    is_reported: bool,
}

/// The sections of a file, in order.
#[derive(Debug, Clone)]
pub(super) struct Schemas {
    /// The file, for messages.
    file: String,
    // Invariant: the last one is Carbon's own default.
    sections: Vec<Section>,
    /// What Carbon ignores, as sentences.
    ignored: Vec<String>,
    /// The number of names of a window before those that are matched next.
    skip: usize,
}

/// Windows do not fit the retention that a name gets.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Misfit {
    pub(super) section: String,
    /// The first name that was found.
    pub(super) name: String,
    pub(super) flush_s: f64,
    pub(super) precision_s: u64,
}

impl Misfit {
    /// What happens to the points.
    pub(super) const fn effect(&self) -> &'static str {
        if self.flush_s < self.precision_s as f64 {
            "Carbon keeps only the last of several points"
        } else {
            "there are gaps between points"
        }
    }

    /// What to change.
    pub(super) fn advice(&self) -> String {
        let Self { section, flush_s, precision_s, .. } = self;
        let seconds = flush_s.ceil();
        format!("set --flush {precision_s}, or begin the retentions of [{section}] with {seconds}s")
    }
}

impl Schemas {
    /// Reads a file.
    ///
    /// # Errors
    /// A sentence that names flag, file and line, and says what to do.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let file = path.display().to_string();
        let wrong = |why: String| format!("--schemas {file}: {why}");
        let text = config_file::text(path).map_err(wrong)?;
        let schemas = Self::parse(&text).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { file, ..schemas })
    }

    /// Reads the text of a file.
    fn parse(text: &str) -> Result<Self, IniError> {
        let (mut sections, mut ignored) = (Vec::new(), Vec::new());
        for section in ini::sections(text)? {
            let (name, line) = (&section.name, section.line);
            let mut missing = |option: &str, instead: &str| {
                ignored.push(format!(
                    "line {line}: Carbon ignores [{name}], which has no `{option}`; add one, such \
                     as `{option} = {instead}`, or remove the section"
                ));
            };
            let Some(retentions) = section.value("retentions") else {
                missing("retentions", "10s:6h,1m:7d");
                continue;
            };
            let retentions = retention::read(retentions)?;
            let pattern = section.value("pattern").filter(|(text, _)| !text.is_empty());
            let Some(pattern) = pattern else {
                missing("pattern", ".*");
                continue;
            };
            let pattern = Pattern::read(pattern, Case::Differs)?;
            if let Some(why) = retention::conflict(&retentions) {
                ignored.push(format!("line {line}: Carbon ignores [{name}]: {why}"));
                continue;
            }
            let Some(precision) = retentions.iter().map(Retention::seconds).min() else { continue };
            let (name, pattern) = (name.clone(), Some(pattern));
            sections.push(Section { name, pattern, precision, is_reported: false });
        }
        let name = "default".to_owned();
        let precision = DEFAULT_SECONDS;
        sections.push(Section { name, pattern: None, precision, is_reported: false });
        Ok(Self { file: String::new(), sections, ignored, skip: 0 })
    }

    /// What may be a mistake, for names such as those in the lines of these payloads.
    pub(super) fn doubts(&mut self, examples: &[Payload], flush: Duration) -> Vec<String> {
        let about = |what: &String| format!("--schemas {}: {what}", self.file);
        let mut all: Vec<_> = self.ignored.iter().map(about).collect();
        for misfit in self.misfits(names(examples), flush) {
            let Misfit { section, name, flush_s, precision_s } = &misfit;
            all.push(format!(
                "--flush {flush_s} does not fit the retention of [{section}] in {}, which names \
                 such as {name} get, with a point every {precision_s} s: {}; {}",
                self.file,
                misfit.effect(),
                misfit.advice()
            ));
        }
        all
    }

    /// The sections whose retention the names in the lines of these payloads do not fit, each once.
    pub(super) fn of_window(&mut self, payloads: &[Payload], flush: Duration) -> Vec<Misfit> {
        self.misfits(names(payloads), flush)
    }

    /// The sections that these names get, each once, and whose retention windows of this length do
    /// not fit.
    fn misfits<'a>(
        &mut self,
        names: impl Iterator<Item = &'a str>,
        flush: Duration,
    ) -> Vec<Misfit> {
        let flush_s = flush.as_secs_f64();
        let is_open =
            |section: &Section| !section.is_reported && section.precision as f64 != flush_s;
        let mut found = Vec::new();
        let mut matched = 0;
        for name in names.skip(self.skip) {
            if matched == MAX_NAMES || !self.sections.iter().any(is_open) {
                break;
            }
            matched += 1;
            let Some(section) = self.sections.iter_mut().find(|section| section.matches(name))
            else {
                continue;
            };
            if is_open(section) {
                section.is_reported = true;
                let (section, precision_s) = (section.name.clone(), section.precision);
                found.push(Misfit { section, name: name.to_owned(), flush_s, precision_s });
            }
        }
        self.skip = if matched == MAX_NAMES { self.skip + matched } else { 0 };
        found
    }
}

impl Section {
    fn matches(&self, name: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.is_in(name))
    }
}

/// The names in the lines of payloads.
fn names(payloads: &[Payload]) -> impl Iterator<Item = &str> {
    let lines = payloads.iter().flat_map(|payload| payload.body.split(|byte| *byte == b'\n'));
    let names = lines.filter_map(|line| line.split(|byte| *byte == b' ').next());
    names.filter_map(|name| std::str::from_utf8(name).ok()).filter(|name| !name.is_empty())
}

/// A window with a series of each kind, for names before any is measured.
pub(super) fn example(length: Duration) -> Window {
    const NAME: &str = "example";
    let length_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    let mut batch = BatchWriter::new(NAME, 0, length_ms);
    batch.counter(NAME, &[], 1.0);
    batch.gauge("example_gauge", &[], &Gauge::reading(1.0, 1));
    batch.timer_readings("example_timer", &[], &[1.0]);
    batch.set("example_set", &[], std::iter::once("a"));
    let (body, mut window) = (batch.finish(), Window::new(0, length_ms, 10));
    if let Ok(batch) = BatchReader::new(&body) {
        window.fold_batch(&batch, drop);
    }
    window
}

#[cfg(test)]
mod tests;
