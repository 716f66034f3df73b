//! The flags of `zibrato-carbon` about names.

use super::host::{Host, labels};
use super::statistics::{Bins, Percentiles, Prefixes, Statistics};
use super::statsd::{Namespaces, Statsd};
use super::template::Template;
use super::words::{Idle, NameSet, StatsdLike, Tags, YesNo};
use super::{Naming, name};

/// The flags about names.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Names")]
#[non_exhaustive]
pub struct NameFlags {
    /// Names and values that series have: Zibrato's own, or those of the program that graphs were
    /// made for
    #[arg(long, value_name = "SET", default_value = "zibrato", value_enum)]
    pub names: NameSet,

    /// Path of a series. {prefix} has a dot after it, {suffix} is the statistic, such as .mean, and
    /// the postfix; tags in the path are before them. Without {source}, the sources of a name are added up
    /// [default: {prefix}{source}.{name}{suffix}; without {source}. for statsd and statsd-legacy]
    #[arg(long, value_name = "TEMPLATE")]
    pub template: Option<Template>,

    /// What becomes of tags: `carbon` for Graphite's tags; `path` for parts of the path, sorted by
    /// tag, such as logins.dc.fra, for a Carbon without a tag database; `drop`: series that differ
    /// only in their tags are added up [default: drop with StatsD's names as bucky writes them, carbon
    /// otherwise]
    #[arg(long, value_name = "WORD", value_enum)]
    pub tags: Option<Tags>,

    /// Prefix for every metric name, joined by a dot, such as `zibrato`
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    pub prefix: String,

    /// Postfix for every metric name, joined by a dot. It is before tags
    #[arg(long, value_name = "POSTFIX", default_value = "", hide_default_value = true)]
    pub postfix: String,

    /// Text that replaces dots in --prefix and --postfix; may be empty. Bucky's is `_`
    #[arg(long, value_name = "TEXT")]
    pub replace_char: Option<String>,

    /// Whether a part of a path that equals the part before it is removed: a.a.b becomes a.b
    /// [default: no with zibrato, yes with other --names]
    #[arg(long, value_name = "WORD", value_enum)]
    pub strip_duplicates: Option<YesNo>,

    /// Whether sources are reversed: node.example.com becomes com.example.node
    /// [default: no with zibrato, yes with other --names]
    #[arg(long, value_name = "WORD", value_enum)]
    pub reverse_host: Option<YesNo>,

    /// Domains to remove from the end of sources, separated by commas. The first that matches is
    /// removed
    #[arg(long, value_name = "DOMAINS", default_value = "", hide_default_value = true)]
    pub trim_host: String,

    /// What to deliver for a series without a reading in a window, if its publisher sends it, as
    /// with gauges, which are repeated: `repeat` the last value of a gauge and 0 for others,
    /// `zero`, or `drop` it. Idle counters, timers and sets are usually not sent, and have no line
    #[arg(long, value_name = "WORD", default_value = "repeat", value_enum)]
    pub idle: Idle,

    /// With StatsD's names: percentiles whose smallest readings have statistics of their own, such as
    /// `90,99.9`, or `none`. Negative ones are for the largest readings [default: 90]
    #[arg(long, value_name = "PERCENTILES", allow_hyphen_values = true)]
    pub percentiles: Option<Percentiles>,

    /// With StatsD's names: the program whose statistics timers have [default: bucky]
    #[arg(long, value_name = "PROGRAM", value_enum)]
    pub statsd_like: Option<StatsdLike>,

    /// With StatsD's names: statistics of a timer: mean, upper, lower, count, count_ps, sum,
    /// sum_squares, median, std [default: those of --statsd-like]
    #[arg(long, value_name = "STATISTICS")]
    pub statsd_statistics: Option<Statistics>,

    /// With --names statsd: parts before names
    /// [default: global=stats,counter=counters,timer=timers,gauge=gauges,set=sets]
    #[arg(long, value_name = "PREFIXES")]
    pub statsd_prefixes: Option<Prefixes>,

    /// With StatsD's names: bins in which readings of timers are counted: part of a name, and upper
    /// limits, such as `api=50:100:inf`; several entries are separated by commas
    #[arg(long, value_name = "BINS")]
    pub histogram_bins: Option<Bins>,
}

impl NameFlags {
    /// # Errors
    /// A sentence that names the flag and says what to do.
    pub(crate) fn naming(&self) -> Result<Naming, String> {
        let is_own = self.names == NameSet::Zibrato;
        let yes = |given: Option<YesNo>| given.map_or(!is_own, |word| word == YesNo::Yes);
        let statsd = if self.names.is_statsd() { Some(self.statsd()?) } else { None };
        if statsd.is_none()
            && let Some(flag) = self.only_of_statsd()
        {
            return Err(format!("{flag} is for --names statsd and statsd-legacy"));
        }
        let template = self.template.clone().unwrap_or_else(|| match statsd {
            Some(_) => Template::without_source(),
            None => Template::with_source(),
        });
        // The StatsD daemon writes tags, and bucky omits them.
        let omits_tags = statsd.as_ref().is_some_and(|statsd| statsd.like != StatsdLike::Statsd);
        let default_tags = if omits_tags { Tags::Drop } else { Tags::Carbon };
        let domains = self.trim_host.split(',').map(str::trim).filter(|domain| !domain.is_empty());
        if let Some(dotted) = domains.clone().find(|domain| domain.starts_with('.')) {
            let domain = dotted.trim_start_matches('.');
            return Err(format!(
                "--trim-host: no source ends in `{dotted}`, because only whole labels are \
                 compared; omit the dot: `{domain}`"
            ));
        }
        Ok(Naming {
            template,
            prefix: self.fixed("--prefix", &self.prefix)?,
            postfix: self.fixed("--postfix", &self.postfix)?,
            strip_duplicates: yes(self.strip_duplicates),
            host: Host { reverse: yes(self.reverse_host), trim: domains.map(labels).collect() },
            is_own,
            statsd,
            tags: self.tags.unwrap_or(default_tags),
            idle: self.idle,
        })
    }

    fn statsd(&self) -> Result<Statsd, String> {
        let legacy = self.names == NameSet::StatsdLegacy;
        if legacy && self.statsd_prefixes.is_some() {
            let why =
                "--statsd-prefixes is for --names statsd; the names of statsd-legacy are fixed";
            return Err(why.to_owned());
        }
        let like = self.statsd_like.unwrap_or_default();
        let Percentiles(thresholds) = self.percentiles.clone().unwrap_or_default();
        let mut words: Vec<_> = thresholds.iter().map(|one| one.word(like)).collect();
        words.sort_unstable();
        if let Some(twice) = words.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!(
                "--percentiles: two of them have the name upper_{}, because bucky omits decimals; \
                 omit one, or use --statsd-like statsd",
                twice[0]
            ));
        }
        let prefixes = self.statsd_prefixes.clone().unwrap_or_default();
        Ok(Statsd {
            legacy,
            like,
            statistics: self.statsd_statistics.clone().unwrap_or_else(|| Statistics::of(like)),
            thresholds,
            bins: self.histogram_bins.clone().unwrap_or_default(),
            namespaces: Namespaces::new(legacy, like, &prefixes),
        })
    }

    /// A flag that was given and has no meaning without StatsD's names.
    fn only_of_statsd(&self) -> Option<&'static str> {
        let all = [
            ("--percentiles", self.percentiles.is_some()),
            ("--statsd-like", self.statsd_like.is_some()),
            ("--statsd-statistics", self.statsd_statistics.is_some()),
            ("--statsd-prefixes", self.statsd_prefixes.is_some()),
            ("--histogram-bins", self.histogram_bins.is_some()),
        ];
        all.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }

    /// A valid prefix or postfix.
    fn fixed(&self, flag: &str, text: &str) -> Result<String, String> {
        let replaced = self.replace_char.as_ref().map(|by| text.replace('.', by));
        let text = replaced.as_deref().unwrap_or(text).trim_matches('.');
        if text.split('.').any(|part| !part.is_empty() && !name::fits(part)) {
            return Err(format!(
                "{flag}: a part of it has more than 240 bytes, which no file name has room for"
            ));
        }
        let would_be = name::prefix(text);
        if would_be == text {
            Ok(would_be)
        } else {
            Err(format!("{flag}: `{text}` is not valid in a path; use `{would_be}`"))
        }
    }
}
