//! Which of several destinations a point goes to, as Carbon's relay decides it.
//!
//! Pure.

mod flags;
mod hash;
mod ring;
mod rules;

pub use flags::{RelayFlags, RelayMethod};
pub use hash::HashType;

use super::address::Address;
use ring::Ring;
use rules::Rules;
use std::sync::Arc;

/// Which destinations a name goes to.
#[derive(Debug, Clone)]
enum Relay {
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
    fn of(&self, name: &str) -> Vec<usize> {
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
    fn of_each(relay: Relay, destinations: usize) -> Vec<Self> {
        let relay = match relay {
            Relay::All => None,
            relay => Some(Arc::new(relay)),
        };
        (0..destinations).map(|destination| Self { relay: relay.clone(), destination }).collect()
    }

    /// Removes the lines that other destinations get.
    pub(super) fn keep(&self, lines: &mut Vec<u8>) {
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

/// Says which of several destinations get a name, as Carbon's relay would. The words are those of
/// `carbon.conf`: a method is a `RELAY_METHOD`, and a hash a `ROUTER_HASH_TYPE`.
///
/// ```
/// use zibrato_workers::carbon::{HashType, RelayMethod, Router};
/// let all = ["127.0.0.1:2004:a", "127.0.0.1:2104:b", "127.0.0.1:2204:c"];
/// let (method, hash) = (RelayMethod::ConsistentHashing, HashType::Carbon);
/// let router = Router::hashed(&all, method, hash, 2, false)?;
/// assert_eq!(router.of("stats.gorets"), ["127.0.0.1:2204:c", "127.0.0.1:2004:a"]);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug)]
pub struct Router {
    relay: Relay,
    destinations: Vec<Address>,
}

impl Router {
    /// Hashes names over destinations. `factor` is the number of destinations of each name
    /// (`REPLICATION_FACTOR`); if they are `diverse`, they are on different hosts
    /// (`DIVERSE_REPLICAS`). A method that does not hash is taken for `consistent-hashing`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the destinations.
    pub fn hashed(
        destinations: &[&str],
        method: RelayMethod,
        hash: HashType,
        factor: usize,
        diverse: bool,
    ) -> Result<Self, String> {
        let destinations = flags::addresses(destinations)?;
        flags::distinct_nodes(&destinations)?;
        let relay = flags::hashed(&destinations, method, Some(hash), factor, diverse);
        Ok(Self { relay, destinations })
    }

    /// Follows the rules of a file in the form of `relay-rules.conf`. Destinations of the file that
    /// are not among `destinations` get nothing.
    ///
    /// # Errors
    /// A sentence that says what is wrong, with the line in `rules`.
    pub fn by_rules(destinations: &[&str], rules: &str) -> Result<Self, String> {
        let destinations = flags::addresses(destinations)?;
        let rules = Rules::parse(rules, &destinations).map_err(|why| why.to_string())?;
        Ok(Self { relay: Relay::Rules(rules), destinations })
    }

    /// The destinations of a name, in Carbon's order.
    #[must_use]
    pub fn of(&self, name: &str) -> Vec<String> {
        self.relay.of(name).iter().map(|at| self.destinations[*at].to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::flags::hashed;
    use super::{Address, RelayMethod, Share};

    #[test]
    fn each_line_goes_to_its_destination_once() {
        let all: Vec<Address> =
            ["h:1:a", "h:2:b", "h:3:c"].iter().map(|text| text.parse().unwrap()).collect();
        let relay = hashed(&all, RelayMethod::ConsistentHashing, None, 1, true);
        let lines: Vec<_> = (0..300).map(|n| format!("n{n} {n} 60\n")).collect();
        let mut seen = Vec::new();
        for share in Share::of_each(relay, 3) {
            let mut ours = lines.concat().into_bytes();
            share.keep(&mut ours);
            let ours = String::from_utf8(ours).unwrap();
            assert!(ours.lines().count() > 30, "{ours}");
            seen.extend(ours.split_inclusive('\n').map(str::to_owned));
        }
        let mut expected = lines;
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected);
        let mut untouched = b"a 1 60\n".to_vec();
        Share::default().keep(&mut untouched);
        assert_eq!(untouched, b"a 1 60\n");
    }
}
