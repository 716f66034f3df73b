//! A sample of an intake, as rules and scripts see it.

use std::borrow::Cow;
use zibrato::Kind;

/// The protocol that a sample came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Collectd,
    Metricsd,
    Statsd,
}

impl Protocol {
    /// The word for it in rules.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Collectd => "collectd",
            Self::Metricsd => "metricsd",
            Self::Statsd => "statsd",
        }
    }
}

/// The kinds, by their words in rules.
pub(super) const KINDS: [(Kind, &str); 5] = [
    (Kind::Counter, "counter"),
    (Kind::Gauge, "gauge"),
    (Kind::Histogram, "histogram"),
    (Kind::Set, "set"),
    (Kind::Timer, "timer"),
];

/// What the samples of a series have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Series<'a> {
    pub(crate) protocol: Protocol,
    pub(crate) kind: Kind,
    pub(crate) level: &'a str,
    /// The source; empty if the sender names none.
    pub(crate) host: &'a str,
    /// The name that the intake gives; of a sample of CollectD the one that its plugin has without
    /// rules.
    pub(crate) name: &'a str,
    /// In ascending order of the tags.
    pub(crate) tags: &'a [(String, String)],
    /// Of a sample of CollectD.
    pub(crate) collectd: Option<Collectd<'a>>,
}

impl Series<'_> {
    /// The word for the kind in rules.
    pub(super) fn kind_word(&self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self.kind).map_or("", |(_, word)| word)
    }
}

/// The identity of a value of CollectD. Texts that were not sent are empty.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Collectd<'a> {
    pub(crate) plugin: &'a str,
    pub(crate) plugin_instance: &'a str,
    pub(crate) type_name: &'a str,
    pub(crate) type_instance: &'a str,
    /// The name of the data source in types.db.
    pub(crate) value_name: &'a str,
    /// 0 counter, 1 gauge, 2 derive, 3 absolute.
    pub(crate) value_type: u8,
    /// In seconds.
    pub(crate) interval: f64,
}

/// The value of a sample.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    /// The member of a set.
    Member(Cow<'a, str>),
    /// The value of any other kind; finite.
    Number(f64),
}
