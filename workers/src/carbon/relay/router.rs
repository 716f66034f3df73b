//! The choice of destinations for single names.
//!
//! Pure.

use super::flags::{RelayMethod, addresses, distinct_nodes, hashed};
use super::hash::HashType;
use super::rules::Rules;
use super::share::Relay;
use crate::carbon::address::Address;

/// Says which of several destinations get a name, as Carbon's relay would. The words are those of
/// `carbon.conf`: a method is a `RELAY_METHOD`, and a hash a `ROUTER_HASH_TYPE`.
///
/// ```
/// use zibrato_workers::carbon::{HashType, RelayMethod, Router};
/// let all = ["127.0.0.1:2004:a", "127.0.0.1:2104:b", "127.0.0.1:2204:c"];
/// let (method, hash) = (RelayMethod::ConsistentHashing, HashType::Carbon);
/// let router = Router::hashed(&all, method, Some(hash), 2, false)?;
/// assert_eq!(router.of("stats.gorets"), ["127.0.0.1:2204:c", "127.0.0.1:2004:a"]);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug)]
pub struct Router {
    relay: Relay,
    destinations: Vec<Address>,
}

impl Router {
    /// Hashes names over destinations. Without a `hash` it is Carbon's default of the method. `factor` is the number of destinations of each name
    /// (`REPLICATION_FACTOR`); if they are `diverse`, they are on different hosts
    /// (`DIVERSE_REPLICAS`). A method that does not hash is taken for `consistent-hashing`.
    ///
    /// # Errors
    /// A sentence about the destinations that are not valid.
    pub fn hashed(
        destinations: &[&str],
        method: RelayMethod,
        hash: Option<HashType>,
        factor: usize,
        diverse: bool,
    ) -> Result<Self, String> {
        let destinations = addresses(destinations)?;
        distinct_nodes(&destinations)?;
        let relay = hashed(&destinations, method, hash, factor, diverse);
        Ok(Self { relay, destinations })
    }

    /// Follows the rules of a file in the form of `relay-rules.conf`. Destinations of the file that
    /// are not among `destinations` get nothing.
    ///
    /// # Errors
    /// A sentence that says what is wrong, with the line in `rules`.
    pub fn by_rules(destinations: &[&str], rules: &str) -> Result<Self, String> {
        let destinations = addresses(destinations)?;
        let rules = Rules::parse(rules, &destinations).map_err(|why| why.to_string())?;
        Ok(Self { relay: Relay::Rules(rules), destinations })
    }

    /// The points on the ring of `consistent-hashing`, ascending, each with its destination. None with
    /// another method.
    #[must_use]
    pub fn points(&self) -> Vec<(i64, String)> {
        let Relay::Hashed { ring, .. } = &self.relay else { return Vec::new() };
        let named = |(position, at): &(i64, usize)| (*position, self.destinations[*at].to_string());
        ring.points().iter().map(named).collect()
    }

    /// The destinations of a name, in Carbon's order.
    #[must_use]
    pub fn of(&self, name: &str) -> Vec<String> {
        self.relay.of(name).iter().map(|at| self.destinations[*at].to_string()).collect()
    }
}

#[cfg(test)]
mod tests {

    use super::super::share::Share;
    use super::{Address, RelayMethod, hashed};

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
