//! A sample of an intake, as rules and scripts see it.

use zibrato::Kind;

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
    /// The name of the intake, such as `statsd`.
    pub(crate) protocol: &'a str,
    pub(crate) kind: Kind,
    pub(crate) level: &'a str,
    /// The source; empty if the sender names none.
    pub(crate) host: &'a str,
    /// The name that the intake gives; of a sample of CollectD the one that its plugin has without
    /// rules.
    pub(crate) name: &'a str,
    pub(crate) tags: &'a [(&'a str, &'a str)],
    /// Of a sample of CollectD.
    pub(crate) collectd: Option<Collectd<'a>>,
}

impl Series<'_> {
    /// Whether its value in a script is one of many, so that a script cannot change it.
    pub(super) const fn has_fixed_value(&self) -> bool {
        !matches!(self.kind, Kind::Counter | Kind::Gauge)
    }

    /// The value of a tag.
    pub(super) fn tag(&self, tag: &str) -> Option<&str> {
        self.tags.iter().find(|(other, _)| *other == tag).map(|(_, value)| *value)
    }

    /// The word for the kind in rules.
    pub(crate) fn kind_word(&self) -> &'static str {
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
    #[cfg_attr(not(feature = "scripts"), expect(dead_code, reason = "only scripts see it"))]
    pub(crate) value_type: u8,
    /// In seconds.
    pub(crate) interval: f64,
}
