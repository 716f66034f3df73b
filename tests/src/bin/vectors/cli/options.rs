//! The options of bucky, and the flags of Zibrato in their place, as `docs/bucky.md` lists them.

use std::collections::BTreeMap;

/// The options, and whether they have a value, which may have to be a whole number.
const OPTIONS: [(&str, Takes); 20] = [
    ("--collectd-ip", Takes::Text),
    ("--collectd-port", Takes::Whole),
    ("--collectd-types", Takes::Text),
    ("--debug", Takes::Nothing),
    ("--disable-collectd", Takes::Nothing),
    ("--disable-metricsd", Takes::Nothing),
    ("--disable-statsd", Takes::Nothing),
    ("--full-trace", Takes::Nothing),
    ("--gid", Takes::Text),
    ("--graphite-ip", Takes::Text),
    ("--graphite-port", Takes::Whole),
    ("--help", Takes::Nothing),
    ("--log-level", Takes::Text),
    ("--metricsd-ip", Takes::Text),
    ("--metricsd-port", Takes::Whole),
    ("--nice", Takes::Whole),
    ("--statsd-ip", Takes::Text),
    ("--statsd-port", Takes::Whole),
    ("--uid", Takes::Text),
    ("--version", Takes::Nothing),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Takes {
    Nothing,
    Text,
    Whole,
}

/// What is wrong with a command line of bucky, as the arguments of `zibrato-broker` that are wrong
/// in the same way.
pub(super) type UsageError = Vec<String>;

/// A command line of bucky.
#[derive(Debug, Default)]
pub(super) struct Options {
    given: BTreeMap<&'static str, Vec<String>>,
    /// Files besides the one of the case.
    pub(super) files: Vec<String>,
}

impl Options {
    pub(super) fn parse(args: &[String]) -> Result<Self, UsageError> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "-h" {
                options.given.entry("--help").or_default();
                continue;
            }
            if !arg.starts_with('-') || arg == "-" {
                options.files.push(arg.clone());
                continue;
            }
            let (name, value) =
                arg.split_once('=').map_or((&**arg, None), |(name, value)| (name, Some(value)));
            let exact = OPTIONS.iter().find(|(option, _)| *option == name);
            let mut alike = OPTIONS.iter().filter(|(option, _)| option.starts_with(name));
            let unique = alike.next().filter(|_| alike.next().is_none() && name.len() > 2);
            let Some((option, takes)) = exact.or(unique) else {
                return Err(vec![arg.clone()]);
            };
            let values = options.given.entry(option).or_default();
            if *takes == Takes::Nothing {
                if value.is_some() {
                    return Err(vec![format!("--insecure={}", value.unwrap_or_default())]);
                }
                continue;
            }
            let Some(value) = value.map(str::to_owned).or_else(|| args.next().cloned()) else {
                return Err(vec!["--statsd".to_owned()]);
            };
            if *takes == Takes::Whole && value.trim().parse::<i64>().is_err() {
                return Err(vec!["--statsd".to_owned(), format!("127.0.0.1:{value}")]);
            }
            values.push(value);
        }
        Ok(options)
    }

    pub(super) fn has(&self, option: &str) -> bool {
        self.given.contains_key(option)
    }

    /// The last value of an option.
    pub(super) fn value(&self, option: &str) -> Option<&str> {
        self.given.get(option)?.last().map(String::as_str)
    }

    /// All values of an option.
    pub(super) fn values(&self, option: &str) -> &[String] {
        self.given.get(option).map(Vec::as_slice).unwrap_or_default()
    }

    /// The value of `--log-level` for Zibrato: the words are in lower case, and there is no
    /// `critical`.
    pub(super) fn log_level(&self) -> Option<String> {
        let level = self.value("--log-level")?;
        Some(match level {
            "CRITICAL" => "error".to_owned(),
            "WARNING" => "warn".to_owned(),
            other => other.to_lowercase(),
        })
    }
}
