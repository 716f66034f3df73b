//! The kinds of measurement and their names on the wire.

/// The kind of a measurement, which decides how readings are aggregated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// How often something happened. Aggregated by addition.
    Counter,
    /// A value at a point in time, such as a queue depth. Aggregated to the last reading, with
    /// count, sum, min and max.
    Gauge,
    /// A size or amount of each event, in any unit, such as the bytes of a response. Aggregated to a
    /// [`Summary`](crate::Summary).
    Histogram,
    /// Members that were seen. Aggregated to the set of distinct members.
    Set,
    /// How long something took, in seconds. Aggregated to a [`Summary`](crate::Summary).
    Timer,
}

impl Kind {
    /// Every kind, in alphabetical order.
    pub const ALL: &[Self] = &[Self::Counter, Self::Gauge, Self::Histogram, Self::Set, Self::Timer];

    /// Its name in the second field of a line, as Python Zibrato writes it.
    ///
    /// ```
    /// assert_eq!(zibrato::Kind::Timer.mtype(), "Timer");
    /// ```
    #[must_use]
    pub const fn mtype(self) -> &'static str {
        match self {
            Self::Counter => "Counter",
            Self::Gauge => "Gauge",
            Self::Histogram => "Histogram",
            Self::Set => "Set",
            Self::Timer => "Timer",
        }
    }

    /// Its letter in a batch: `c`, `g`, `h`, `s` or `t`.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Counter => "c",
            Self::Gauge => "g",
            Self::Histogram => "h",
            Self::Set => "s",
            Self::Timer => "t",
        }
    }

    /// Reads the second field of a line, whatever its case: `counter(s)`, `c` · `gauge(s)`, `g` ·
    /// `histogram(s)`, `h` · `set(s)`, `s` · `timer(s)`, `t`, `ms`. `None` for anything else.
    ///
    /// ```
    /// use zibrato::Kind;
    /// assert_eq!(Kind::from_mtype("TIMERS"), Some(Kind::Timer));
    /// assert_eq!(Kind::from_mtype("meter"), None);
    /// ```
    #[must_use]
    pub fn from_mtype(text: &str) -> Option<Self> {
        const WORDS: [(&str, Kind); 16] = [
            ("counter", Kind::Counter),
            ("counters", Kind::Counter),
            ("c", Kind::Counter),
            ("gauge", Kind::Gauge),
            ("gauges", Kind::Gauge),
            ("g", Kind::Gauge),
            ("histogram", Kind::Histogram),
            ("histograms", Kind::Histogram),
            ("h", Kind::Histogram),
            ("set", Kind::Set),
            ("sets", Kind::Set),
            ("s", Kind::Set),
            ("timer", Kind::Timer),
            ("timers", Kind::Timer),
            ("t", Kind::Timer),
            ("ms", Kind::Timer),
        ];
        WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|&(_, kind)| kind)
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn every_kind_is_parsed_from_its_names() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_mtype(kind.mtype()), Some(*kind));
            assert_eq!(Kind::from_mtype(kind.letter()), Some(*kind));
        }
    }

    #[test]
    fn names_of_other_systems_are_unknown() {
        for word in ["", "Count", "Histo", "Meter", "event", "x", "latency", " c", "coünter"] {
            assert_eq!(Kind::from_mtype(word), None, "{word:?}");
        }
    }
}
