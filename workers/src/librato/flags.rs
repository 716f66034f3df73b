//! The flags of `zibrato-librato`.

use super::accept::AcceptedTimes;
use super::tags::Tag;
use crate::secret::Secret;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use zibrato::Percentile;
use zibrato::daemon::{seconds, whole_number};

/// The address of the service, which has ended.
pub(super) const DEFAULT_API_URL: &str = "https://metrics-api.librato.com";

/// Maximum number of percentiles.
const MAX_PERCENTILES: usize = 20;

/// Maximum number of requests at the same time.
const MAX_CONNECTIONS: u64 = crate::http::MAX_CONNECTIONS as u64;

/// The longest limit of accepted times: 100 years.
const LONGEST_S: f64 = 3_155_760_000.0;

/// The flags of `zibrato-librato`.
#[derive(Debug, Clone, clap::Args)]
#[non_exhaustive]
#[command(next_help_heading = "Librato")]
pub struct LibratoFlags {
    /// User name of the account, usually an e-mail address. The variable LIBRATO_USER is read too
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,

    /// API token. Prefer --apitoken-file or a variable: other users can see a command line. The
    /// variable LIBRATO_TOKEN is read too
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    pub apitoken: Option<Secret>,

    /// File that contains the API token
    #[arg(long, value_name = "FILE")]
    pub apitoken_file: Option<PathBuf>,

    /// Base URL of the API, with or without /v1; /v1/metrics is appended, or /v1/measurements with --api
    /// tagged. http:// is accepted for this machine only
    #[arg(long, value_name = "URL", default_value = DEFAULT_API_URL)]
    pub api_url: String,

    /// Form of measurements: `source` for names with a source (POST /v1/metrics); `tagged` for names
    /// with tags (POST /v1/measurements), one of which is `source`
    #[arg(long, value_name = "WORD", default_value = "source", value_enum)]
    pub api: Api,

    /// Tags of every measurement, separated by commas, such as env=prod,dc=fra. Those of a measurement
    /// itself are used in their place. Only with --api tagged
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',')]
    pub tag: Vec<CommonTag>,

    /// What to deliver for a timer or histogram: `summary` for one measurement with count, sum, min,
    /// max and sum of squares; `raw` for each reading, as long as there are at most 1,000 in a window
    /// and its publisher sends them one by one
    #[arg(long, value_name = "WORD", default_value = "summary", value_enum)]
    pub timers: Timers,

    /// Percentiles of timers and histograms to deliver as measurements of their own, such as `50,99.9`:
    /// db.query.p50, db.query.p99.9
    #[arg(long, value_name = "PERCENTILES", default_value = "", hide_default_value = true)]
    pub percentiles: LibratoPercentiles,

    /// What to deliver for a gauge: `second` for one measurement for each second in which it was set,
    /// at its time; `window` for one measurement with the readings of the whole window
    #[arg(long, value_name = "WORD", default_value = "second", value_enum)]
    pub gauges: Gauges,

    /// How old a measurement may be, in seconds. The API rejects a whole request for an older one, so
    /// older ones are omitted and counted. 0 means no limit
    #[arg(long, value_name = "SECONDS", default_value = "7200", value_parser = seconds(0.0..=LONGEST_S))]
    pub accept_past: Duration,

    /// How far in the future the time of a measurement may be, in seconds; the same applies. 0 means no
    /// limit
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds(0.0..=LONGEST_S))]
    pub accept_future: Duration,

    /// PEM file of certificate authorities to trust, in addition to the system's (or those of
    /// SSL_CERT_FILE and SSL_CERT_DIR)
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Timeout of a request, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds(0.001..=86_400.0))]
    pub timeout: Duration,

    /// Maximum number of requests at the same time, each on a connection of its own, from 1 to 16. The
    /// requests of a window may arrive in any order; a window is sent after the one before it
    #[arg(long, value_name = "NUMBER", default_value = "4", value_parser = whole_number::<u8>("a number of requests", 1..=MAX_CONNECTIONS))]
    pub connections: u8,

    /// Prefix for every metric name, joined by a dot
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub prefix: String,
}

impl LibratoFlags {
    /// Flags with these credentials and defaults for everything else, for programs that embed the
    /// backend.
    ///
    /// ```
    /// use zibrato_workers::librato::LibratoFlags;
    /// let flags = LibratoFlags::new("user@example.com", "tok123");
    /// assert_eq!(flags.api_url, "https://metrics-api.librato.com");
    /// ```
    #[must_use]
    pub fn new(username: impl Into<String>, apitoken: impl Into<String>) -> Self {
        Self {
            username: Some(username.into()),
            apitoken: Some(Secret::new(apitoken)),
            apitoken_file: None,
            api_url: DEFAULT_API_URL.to_owned(),
            api: Api::Source,
            tag: Vec::new(),
            timers: Timers::Summary,
            percentiles: LibratoPercentiles::default(),
            gauges: Gauges::Second,
            accept_past: AcceptedTimes::DEFAULT_PAST,
            accept_future: AcceptedTimes::DEFAULT_FUTURE,
            ca_file: None,
            timeout: Duration::from_secs(10),
            connections: 4,
            prefix: String::new(),
        }
    }
}

/// The form of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Api {
    /// Names with a source.
    Source,
    /// Names with tags, one of which is the source.
    Tagged,
}

/// What is delivered for a timer or histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Timers {
    /// Each reading, if it is known.
    Raw,
    /// One measurement with count, sum, min, max and sum of squares.
    Summary,
}

/// What is delivered for a gauge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Gauges {
    /// A measurement for each second in which it was set.
    Second,
    /// One measurement for the window.
    Window,
}

/// A tag of every measurement.
///
/// ```
/// use zibrato_workers::librato::CommonTag;
/// assert_eq!("env=prod".parse::<CommonTag>().unwrap().to_string(), "env=prod");
/// assert!("env".parse::<CommonTag>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommonTag(pub(super) Tag);

impl FromStr for CommonTag {
    type Err = CommonTagError;

    fn from_str(text: &str) -> Result<Self, CommonTagError> {
        let pair = text.split_once('=').map(|(tag, value)| (tag.trim(), value.trim()));
        let (tag, value) = pair
            .filter(|(tag, value)| !tag.is_empty() && !value.is_empty())
            .ok_or(CommonTagError)?;
        Ok(Self((tag.to_owned(), value.to_owned())))
    }
}

impl fmt::Display for CommonTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tag, value) = &self.0;
        write!(f, "{tag}={value}")
    }
}

/// A text is not a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected NAME=VALUE, such as env=prod; several are separated by commas")]
#[non_exhaustive]
pub struct CommonTagError;

/// Percentiles of timers and histograms, such as `50,99.9`.
///
/// ```
/// use zibrato_workers::librato::LibratoPercentiles;
/// assert_eq!("p50, 99.9".parse::<LibratoPercentiles>().unwrap().to_string(), "50,99.9");
/// assert!("101".parse::<LibratoPercentiles>().is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LibratoPercentiles(pub(super) Vec<Percentile>);

impl FromStr for LibratoPercentiles {
    type Err = LibratoPercentilesError;

    fn from_str(text: &str) -> Result<Self, LibratoPercentilesError> {
        let mut all = Vec::new();
        let words = text.split(',').map(str::trim);
        for word in words.filter(|_| !text.trim().is_empty()) {
            let wrong = || LibratoPercentilesError { text: word.to_owned() };
            let digits = word.strip_prefix('p').unwrap_or(word);
            let percentile = digits.parse::<Percentile>().map_err(|_| wrong())?;
            if all.contains(&percentile) || all.len() >= MAX_PERCENTILES {
                return Err(wrong());
            }
            all.push(percentile);
        }
        Ok(Self(all))
    }
}

impl fmt::Display for LibratoPercentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(Percentile::to_string).collect();
        f.write_str(&words.join(","))
    }
}

/// A text is not a list of percentiles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a percentile, or one too many; give at most 20 different ones from 0 to 100, \
     such as 50,95,99.9"
)]
#[non_exhaustive]
pub struct LibratoPercentilesError {
    /// The word.
    pub text: String,
}

/// The base URL without a slash or `/v1` at its end.
///
/// # Errors
/// What is wrong with it.
pub(super) fn base(api_url: &str) -> Result<&str, String> {
    let base = api_url.trim().trim_end_matches('/');
    if base.contains(['?', '#']) {
        return Err(format!("--api-url {base}: has a query or a fragment; leave it out"));
    }
    let base = base.strip_suffix("/v1").unwrap_or(base);
    if base.ends_with("/metrics") || base.ends_with("/measurements") {
        let why = "is the address of a part of the API; leave out what follows /v1";
        return Err(format!("--api-url {base}: {why}"));
    }
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::{CommonTag, LibratoPercentiles, base};

    #[test]
    fn percentiles_are_decimal_numbers_from_0_to_100() {
        let read = |text: &str| text.parse::<LibratoPercentiles>().map(|all| all.to_string());
        for (text, shown) in
            [("", ""), ("99", "99"), ("p50,p99.9", "50,99.9"), (" 0 , 100 ", "0,100")]
        {
            assert_eq!(read(text).as_deref(), Ok(shown));
        }
        let many: Vec<_> = (1..=21).map(|n| n.to_string()).collect();
        for bad in ["101", "-1", "x", "50,", "50,50", "nan", "1e1", &many.join(",")] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_tag_has_a_name_and_a_value() {
        assert_eq!("a = b=c".parse::<CommonTag>().unwrap().to_string(), "a=b=c");
        for bad in ["", "a", "=b", "a=", " = "] {
            assert!(bad.parse::<CommonTag>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_base_url_is_given_with_or_without_its_version() {
        for (url, expected) in [
            ("http://h:1", "http://h:1"),
            (" http://h:1/ ", "http://h:1"),
            ("http://h:1/v1/", "http://h:1"),
            ("https://h/librato/v1", "https://h/librato"),
        ] {
            assert_eq!(base(url), Ok(expected), "{url}");
        }
        for (bad, part) in [
            ("http://h/?x", "query"),
            ("http://h/v1/metrics", "what follows /v1"),
            ("http://h/v1/measurements/", "what follows /v1"),
        ] {
            assert!(base(bad).unwrap_err().contains(part), "{bad}");
        }
    }
}
