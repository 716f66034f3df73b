//! What the worker posts.

use std::fmt;
use std::str::FromStr;

/// The value of `--mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mode {
    /// A message about each window.
    #[default]
    Digest,
    /// Messages when alerts begin and end.
    Alert,
    /// The lines of each window, for a relay that forwards them to a Carbon.
    Bus,
}

/// The value is no mode.
#[derive(Debug, thiserror::Error)]
#[error("expected digest, alert or bus")]
#[non_exhaustive]
pub struct ModeError;

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        match text {
            "digest" => Ok(Self::Digest),
            "alert" => Ok(Self::Alert),
            "bus" => Ok(Self::Bus),
            _ => Err(ModeError),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Digest => "digest",
            Self::Alert => "alert",
            Self::Bus => "bus",
        })
    }
}
