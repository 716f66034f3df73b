//! The samples of a line by themselves, for people who try rules.

use super::grammar::{Dialect, Reading, Reason, Sample, decode};
use super::identity::Identity;
use super::why::why;
use zibrato::Kind;

/// A sample as rules see it, if it is the only one in its second.
#[derive(Debug, PartialEq)]
pub(crate) struct Shown {
    pub(crate) kind: Kind,
    /// The source that a tag gives; empty if none does.
    pub(crate) host: String,
    pub(crate) name: String,
    pub(crate) tags: Vec<(String, String)>,
    /// 1 for the member of a set.
    pub(crate) value: f64,
}

/// Decodes a line. `take` gets each sample, or the reason why it is invalid.
pub(crate) fn samples(line: &[u8], take: &mut dyn FnMut(Result<Shown, &'static str>)) {
    decode(line, Dialect::Statsd, |_, sample| {
        take(sample.and_then(shown).map_err(|reason| why(reason.word()).unwrap_or(reason.word())));
    });
}

fn shown(sample: Sample<'_>) -> Result<Shown, Reason> {
    let (Identity { name, source, tags }, _) = Identity::of(sample.name, sample.tags)?;
    let value = match sample.reading {
        Reading::Number { value, rate } if sample.kind == Kind::Counter => value / rate,
        Reading::Number { value, .. } | Reading::Change(value) => value,
        Reading::Member(_) => 1.0,
    };
    Ok(Shown { kind: sample.kind, host: source.unwrap_or_default(), name, tags, value })
}
