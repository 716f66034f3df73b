//! The levels that a worker subscribes to, parsed from `info,warn` or `*`.

use std::fmt;
use std::str::FromStr;
use zibrato::wire::{BATCH_PREFIX, batch_topic};
use zibrato::{Level, TextError};

/// The levels that a worker delivers: named ones, or all levels.
///
/// Defaults to `info`.
///
/// ```
/// use zibrato_workers::Levels;
/// let levels: Levels = "info, warn".parse().unwrap();
/// assert_eq!(levels.to_string(), "info,warn");
/// assert_eq!("*".parse(), Ok(Levels::all()));
/// assert!("info,,warn".parse::<Levels>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels(Wanted);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    All,
    // Invariant: at least one, ascending, each once.
    Named(Vec<Level>),
}

impl Levels {
    /// All levels, including future ones.
    #[must_use]
    pub const fn all() -> Self {
        Self(Wanted::All)
    }

    /// The prefixes under which the broker publishes the batches of these levels. The bar at the
    /// end keeps `info` from also matching `information`.
    pub(crate) fn topics(&self) -> Vec<String> {
        match &self.0 {
            Wanted::All => vec![BATCH_PREFIX.to_owned()],
            Wanted::Named(levels) => levels.iter().map(|l| batch_topic(l.as_str())).collect(),
        }
    }
}

impl Levels {
    /// The levels for the replay port: their names, or `*`.
    pub(crate) fn names(&self) -> Vec<String> {
        match &self.0 {
            Wanted::All => vec!["*".to_owned()],
            Wanted::Named(levels) => levels.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Default for Levels {
    fn default() -> Self {
        Self(Wanted::Named(Level::new("info").into_iter().collect()))
    }
}

impl From<Level> for Levels {
    fn from(level: Level) -> Self {
        Self(Wanted::Named(vec![level]))
    }
}

impl FromStr for Levels {
    type Err = LevelsError;

    fn from_str(text: &str) -> Result<Self, LevelsError> {
        if text.trim().is_empty() {
            return Err(LevelsError::Empty);
        }
        let (mut all, mut named) = (false, Vec::new());
        for item in text.split(',').map(str::trim) {
            match item {
                "" => return Err(LevelsError::EmptyItem),
                "*" => all = true,
                // Nobody measures at the level `info warn`, so that nothing would be delivered.
                several if several.contains(char::is_whitespace) => {
                    return Err(LevelsError::Separator);
                }
                _ => named.push(Level::new(item).map_err(LevelsError::Level)?),
            }
        }
        named.sort();
        named.dedup();
        Ok(Self(if all { Wanted::All } else { Wanted::Named(named) }))
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Wanted::All => f.write_str("*"),
            Wanted::Named(levels) => levels.iter().enumerate().try_for_each(|(i, level)| {
                let comma = if i == 0 { "" } else { "," };
                write!(f, "{comma}{level}")
            }),
        }
    }
}

/// Why a text is not a list of levels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LevelsError {
    /// It is empty.
    #[error(
        "no level is given; give some, such as `--levels info,warn`, or all with `--levels '*'`"
    )]
    Empty,
    /// It has an extra comma.
    #[error("there is an extra comma; give levels as in `--levels info,warn`")]
    EmptyItem,
    /// One of them is not a valid level.
    #[error("{0}; give levels as in `--levels info,warn`, or all with `--levels '*'`")]
    Level(TextError),
    /// One of them contains white space.
    #[error("commas must separate levels, not spaces; give levels as in `--levels info,warn`")]
    Separator,
}

#[cfg(test)]
mod tests {
    use super::{Levels, LevelsError};
    use std::error::Error;

    #[test]
    fn a_subscription_to_a_level_ends_with_a_bar() {
        for (text, topics) in [
            ("info", &["zb1|info|"][..]),
            (" warn ,info,, info".replace(",,", ",").as_str(), &["zb1|info|", "zb1|warn|"]),
            ("*", &["zb1|"]),
            ("info,*", &["zb1|"]),
        ] {
            assert_eq!(text.parse::<Levels>().unwrap().topics(), topics, "{text:?}");
        }
        assert_eq!(Levels::default().topics(), ["zb1|info|"]);
    }

    #[test]
    fn errors_about_levels_say_what_to_do() {
        for (text, expected) in
            [("", LevelsError::Empty), ("  ", LevelsError::Empty), (",", LevelsError::EmptyItem)]
        {
            assert_eq!(text.parse::<Levels>(), Err(expected), "{text:?}");
        }
        for text in ["info warn", "debug,info warn", "a\nb", "a\tb,*"] {
            assert_eq!(text.parse::<Levels>(), Err(LevelsError::Separator), "{text:?}");
        }
        for text in ["", "info,", ",info", "a,,b", "a|b", "zb!levels", "a\nb"] {
            let error = text.parse::<Levels>().unwrap_err();
            assert!(error.to_string().contains("--levels info,warn"), "{text:?}: {error}");
            // The message contains the cause.
            assert!(error.source().is_none());
        }
    }
}
