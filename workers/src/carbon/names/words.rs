//! The words of flags about names.

/// The names and values that series have in Carbon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[non_exhaustive]
pub enum NameSet {
    /// As bucky names what CollectD sends: the host reversed, equal neighbours collapsed.
    BuckyCollectd,
    /// As bucky names what MetricsD clients send: the same.
    Metricsd,
    /// As StatsD, in its newer namespace: `stats.counters.logins.rate`.
    Statsd,
    /// As StatsD, in its older namespace: `stats.logins` and `stats_counts.logins`.
    StatsdLegacy,
    /// `source.name`, and `.mean` and others for a timer.
    #[default]
    Zibrato,
}

impl NameSet {
    pub(super) const fn is_statsd(self) -> bool {
        matches!(self, Self::Statsd | Self::StatsdLegacy)
    }
}

/// What is delivered for a series that nobody measured in a window, and that its publisher sends, as
/// with gauges, which are repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[non_exhaustive]
pub enum Idle {
    /// Nothing.
    Drop,
    /// The last value of a gauge, and 0 for others.
    #[default]
    Repeat,
    /// 0.
    Zero,
}

/// What becomes of tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Tags {
    /// Graphite's tags: `logins;dc=fra`.
    Carbon,
    /// Nothing: series that differ only in their tags are added up.
    Drop,
    /// Parts of the path, sorted by tag, for a Carbon without a tag database: `logins.dc.fra`.
    Path,
}

/// The program whose statistics of timers are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[non_exhaustive]
pub enum StatsdLike {
    /// Bucky up to 2.3.0: few statistics, and the mean is that of the smallest readings.
    #[default]
    Bucky,
    /// Bucky 2.3.1.
    #[value(name = "bucky-2.3.1")]
    BuckyNext,
    /// The reference daemon in JavaScript.
    Statsd,
}

/// The value of a flag that has another default with each naming set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum YesNo {
    /// No.
    No,
    /// Yes.
    Yes,
}
