//! How series are named in Carbon: a naming set says which lines a series has, and a template puts
//! prefix, source, name and statistic together.
//!
//! Pure.

mod distribution;
mod flags;
mod host;
mod statistics;
mod statsd;
mod template;
mod words;

pub use flags::NameFlags;
pub use statistics::{Bins, Percentiles, Prefixes, Statistics, StatsdListError};
pub use template::{Template, TemplateError};
pub use words::{Idle, NameSet, StatsdLike, Tags, YesNo};

use super::name;
use host::Host;
use statsd::Statsd;
use zibrato::window::Fold;

/// How series are named.
#[derive(Debug, Clone)]
pub(crate) struct Naming {
    template: Template,
    /// Valid, and without a dot at either end, like `postfix`.
    prefix: String,
    postfix: String,
    strip_duplicates: bool,
    host: Host,
    /// Whether it is the set `zibrato`.
    is_own: bool,
    /// `None` if the lines are not StatsD's.
    statsd: Option<Statsd>,
    tags: Tags,
    pub(super) idle: Idle,
}

impl Default for Naming {
    fn default() -> Self {
        Self {
            template: Template::with_source(),
            prefix: String::new(),
            postfix: String::new(),
            strip_duplicates: false,
            host: Host::default(),
            is_own: true,
            statsd: None,
            tags: Tags::Carbon,
            idle: Idle::default(),
        }
    }
}

impl Naming {
    pub(super) fn set_prefix(&mut self, prefix: &str) {
        self.prefix = name::prefix(prefix);
    }

    /// Whether each series has one path, and statistics follow it after a dot.
    pub(super) fn is_plain(&self) -> bool {
        let is_separate = self.has_source() && self.tags == Tags::Carbon;
        self.is_own && !self.strip_duplicates && self.postfix.is_empty() && is_separate
    }

    /// Whether series of different sources are different.
    pub(super) fn has_source(&self) -> bool {
        self.template.has_source()
    }

    /// Whether series with different tags are different.
    pub(super) fn has_tags(&self) -> bool {
        self.tags != Tags::Drop
    }

    /// Whether tags are parts of the path.
    pub(super) fn has_tags_in_path(&self) -> bool {
        self.tags == Tags::Path
    }

    /// What a Carbon without a tag database makes of tags, if they are sent.
    pub(super) fn about_tags(&self) -> Option<&'static str> {
        (self.tags == Tags::Carbon).then_some(
            "tags are sent as Graphite's tags (name;tag=value); a Graphite without a tag database \
             shows them only as hashes below _tagged: for such a one give --tags path or --tags drop",
        )
    }

    pub(super) const fn statsd(&self) -> Option<&Statsd> {
        self.statsd.as_ref()
    }

    /// The path of a series without its statistic. `namespace` is before the name, or empty.
    pub(super) fn path(&self, source: Option<&str>, namespace: &str, name: &str) -> String {
        let source = source.map(|source| self.host.path(source)).unwrap_or_default();
        let mut path = namespace.to_owned();
        let before = path.len();
        name::push_parts(&mut path, name);
        if path.len() == before {
            name::push_parts(&mut path, name::NOTHING_LEFT);
        }
        self.tidied(self.template.fill(&self.prefix, &source, &path))
    }

    /// What is before and after the name in all paths of a source, if the name is at one place of the
    /// template and has its parts for itself.
    pub(super) fn around(&self, source: Option<&str>) -> Option<(String, String)> {
        let [a, b] = ["a", "b"].map(|name| self.path(source, "", name));
        let at = a.bytes().zip(b.bytes()).position(|(a, b)| a != b)?;
        let (before, after) = (a.get(..at)?, a.get(at + 1..)?);
        let is_apart = (before.is_empty() || before.ends_with('.'))
            && (after.is_empty() || after.starts_with('.'));
        let is_once = b.get(at + 1..) == Some(after);
        (is_apart && is_once).then(|| (before.to_owned(), after.to_owned()))
    }

    /// The path without empty parts, and without a part that equals the one before it if these are
    /// removed.
    fn tidied(&self, path: String) -> String {
        if !self.strip_duplicates && path.split('.').all(name::fits) {
            return path;
        }
        let mut tidy = String::with_capacity(path.len());
        path.split('.').for_each(|part| self.push(&mut tidy, part));
        tidy
    }

    /// Appends a part.
    fn push(&self, path: &mut String, part: &str) {
        let last = path.rsplit('.').next().unwrap_or_default();
        if part.is_empty() || (self.strip_duplicates && part == last) {
            return;
        }
        name::push(path, &name::fitting(part));
    }

    /// A path with a statistic, or an empty text, and with the postfix.
    pub(super) fn whole(&self, mut path: String, statistic: &str) -> String {
        for part in statistic.split('.').chain(self.postfix.split('.')) {
            self.push(&mut path, part);
        }
        path
    }
}

/// Whether nobody measured anything.
pub(super) fn is_idle(value: &Fold) -> bool {
    match value {
        Fold::Counter(sum) => *sum == 0.0,
        Fold::Gauge(gauge) => gauge.is_none_or(|gauge| gauge.is_idle()),
        Fold::Set(members) => members.is_empty(),
        _ => value.summary().is_some_and(zibrato::Summary::is_empty),
    }
}

#[cfg(test)]
mod tests;
