//! What each of several destinations gets.
//!
//! Pure.

use super::ring::Ring;
use super::rules::Rules;
use std::sync::Arc;

/// Which destinations a name goes to.
#[derive(Debug, Clone)]
pub(super) enum Relay {
    /// To all.
    All,
    Hashed {
        ring: Ring,
        /// The number of destinations of each name.
        factor: usize,
        /// Whether the destinations of a name are on different hosts.
        diverse: bool,
    },
    Rules(Rules),
}

impl Relay {
    /// The destinations of a name, in Carbon's order.
    pub(super) fn of(&self, name: &str) -> Vec<usize> {
        match self {
            Self::All => Vec::new(),
            Self::Hashed { ring, factor, diverse } => ring.of(name, *factor, *diverse),
            Self::Rules(rules) => rules.of(name),
        }
    }
}

/// What one of the destinations gets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Share {
    /// `None` if it gets everything.
    relay: Option<Arc<Relay>>,
    destination: usize,
}

impl Share {
    /// One share for each destination.
    pub(super) fn of_each(relay: Relay, destinations: usize) -> Vec<Self> {
        let relay = match relay {
            Relay::All => None,
            relay => Some(Arc::new(relay)),
        };
        (0..destinations).map(|destination| Self { relay: relay.clone(), destination }).collect()
    }

    /// Removes the lines that other destinations get.
    pub(crate) fn keep(&self, lines: &mut Vec<u8>) {
        let Some(relay) = &self.relay else { return };
        let is_ours = |line: &[u8]| {
            let name = line.split(|byte| *byte == b' ').next().unwrap_or(line);
            std::str::from_utf8(name).is_ok_and(|name| relay.of(name).contains(&self.destination))
        };
        let (mut from, mut kept) = (0, 0);
        while from < lines.len() {
            let end = lines.iter().skip(from).position(|byte| *byte == b'\n');
            let to = end.map_or(lines.len(), |end| from + end + 1);
            if lines.get(from..to).is_some_and(is_ours) {
                lines.copy_within(from..to, kept);
                kept += to - from;
            }
            from = to;
        }
        lines.truncate(kept);
    }
}
