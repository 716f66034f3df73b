//! Writes a window whose series have lines with names of their own: those of StatsD, or names that a
//! postfix, a template or the removal of equal parts changes.
//!
//! Pure. Names are kept apart line by line: the first series with a name keeps it while the worker
//! runs, and the line of another one gets a hash appended.

use super::{Encoded, Encoder, Pages, fold, line_end, push_line, source, tags};
use crate::carbon::name;
use crate::hash::{fnv1a, fnv1a_all};
use crate::naming::{Identity, mark};
use std::collections::HashSet;
use std::sync::Arc;
use zibrato::DEFAULT_SOURCE;
use zibrato::window::{Fold, Series, Window};

impl Encoder {
    pub(super) fn encode_by_line(&mut self, window: Window) -> Encoded {
        let mut encoded = Encoded::default();
        let (end, seconds) = (line_end(window.stamp()), window.length_ms() as f64 / 1e3);
        let mut series: Vec<_> = self.wanted(window.into_series()).collect();
        self.add_up(&mut series);
        let (mut pages, mut lines, mut taken) = (Pages::default(), Vec::new(), HashSet::new());
        let mut sent = 0_u64;
        for one in &series {
            let tags = if self.naming.has_tags_in_path() { String::new() } else { tags(one) };
            let identity = Identity::of(one);
            lines.clear();
            for (path, value) in self.lines(one, seconds) {
                let mut path = path;
                if !self.takes(&path, &tags, identity, &mut taken) {
                    encoded.renamed.add(&format!("{path}{tags}"));
                    path = name::marked_path(&path, line_mark(one));
                    taken.insert(fnv1a(format!("{path}{tags}").as_bytes()));
                }
                push_line(&mut lines, [&path, &tags, "", ""], value, &end);
            }
            if lines.is_empty() {
                encoded.left_out.add(&one.name);
                continue;
            }
            sent += 1;
            self.share.keep(&mut lines);
            pages.add(&lines, 1);
        }
        if let Some(statsd) = self.naming.statsd()
            && sent > 0
        {
            let (namespace, word, number) = statsd.number(sent);
            let path = self.naming.whole(self.naming.path(None, namespace, &word), "");
            lines.clear();
            push_line(&mut lines, [&path, "", "", ""], number, &end);
            self.share.keep(&mut lines);
            pages.add(&lines, 0);
        }
        pages.end();
        encoded.payloads = pages.payloads;
        encoded
    }

    /// The lines of a series: path and value.
    fn lines(&self, series: &Series, seconds: f64) -> Vec<(String, f64)> {
        let naming = &self.naming;
        let has_tags = naming.has_tags_in_path() && !series.tags.is_empty();
        let path = |namespace| {
            let mut path = naming.path(source(series), namespace, &series.name);
            if has_tags {
                name::push_tags_as_parts(&mut path, sorted(series));
            }
            path
        };
        let whole = |mut path: String, word: &str| {
            if !has_tags {
                return naming.whole(path, word);
            }
            // Equal parts stay: a statistic may be named like the value of the last tag.
            let suffix = naming.whole(String::new(), word);
            if !suffix.is_empty() {
                name::push(&mut path, &suffix);
            }
            path
        };
        if let Some(statsd) = naming.statsd() {
            let lines = statsd.lines(&series.name, &series.value, seconds);
            // The lines of a timer have one namespace.
            let mut last = ("", String::new());
            let named = |(namespace, word, value): (_, String, _)| {
                if last.0 != namespace || last.1.is_empty() {
                    last = (namespace, path(namespace));
                }
                (whole(last.1.clone(), &word), value)
            };
            return lines.into_iter().map(named).collect();
        }
        let named = |(word, value): (&str, f64)| (whole(path(""), word), value);
        if let Some(summary) = series.value.summary() {
            return self.timer_parts.of(summary).map(named).collect();
        }
        let plain = |value| vec![named(("", value))];
        match &series.value {
            Fold::Counter(sum) => plain(*sum),
            Fold::Gauge(Some(gauge)) => {
                let parts = self.gauge_parts.of(&series.name).iter();
                parts.map(|part| named((part.suffix(), part.of(gauge)))).collect()
            }
            Fold::Set(members) => plain(members.len() as f64),
            // A gauge without a reading, and kinds that do not exist yet.
            _ => Vec::new(),
        }
    }

    /// Adds up the series that differ only in what their names do not contain: source or tags.
    fn add_up(&self, series: &mut Vec<Series>) {
        let (has_source, has_tags) = (self.naming.has_source(), self.naming.has_tags());
        if has_source && has_tags {
            return;
        }
        let none: Arc<str> = Arc::from(DEFAULT_SOURCE);
        for one in &mut *series {
            if !has_source {
                one.source = Arc::clone(&none);
            }
            if !has_tags {
                one.tags = Box::default();
            }
        }
        let order = |a: &Series, b: &Series| {
            let names = (&a.name, &a.tags, &a.source).cmp(&(&b.name, &b.tags, &b.source));
            let kinds = a.value.kind().cmp(&b.value.kind());
            names.then(kinds).then_with(|| a.value.unit().cmp(&b.value.unit()))
        };
        series.sort_by(order);
        series.dedup_by(|later, first| {
            let is_same = order(later, first).is_eq();
            if is_same {
                fold(&mut first.value, &later.value);
            }
            is_same
        });
    }

    /// Whether a series has a name for itself: it is the first one with it, and no line of this
    /// window has it.
    fn takes(
        &mut self,
        path: &str,
        tags: &str,
        identity: Identity,
        taken: &mut HashSet<u64>,
    ) -> bool {
        let name = fnv1a(format!("{path}{tags}").as_bytes());
        let owner = self.claims.owner(name).unwrap_or(identity);
        self.claims.remember(name, owner);
        owner == identity && taken.insert(name)
    }
}

/// The tags of a series, sorted.
fn sorted(series: &Series) -> impl Iterator<Item = (&str, &str)> + Clone {
    let mut tags: Vec<_> = series.tags.iter().map(|(tag, value)| (&**tag, &**value)).collect();
    tags.sort_unstable();
    tags.into_iter()
}

/// The hash that distinguishes the lines of a series from those of all others, whatever their kind.
fn line_mark(series: &Series) -> u64 {
    fnv1a_all([&mark(series).to_be_bytes()[..], series.value.kind().letter().as_bytes()])
}
