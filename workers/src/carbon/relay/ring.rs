//! The ring of Carbon's relay: which destinations a name is hashed to.
//!
//! Pure. It gives the same destinations as `carbon.hashing.ConsistentHashRing` and, for
//! `fast-hashing`, `FastHashRing` of Carbon 1.1.10.

use super::hash::HashType;
use crate::carbon::address::Address;

/// The number of points of each destination on the ring.
const POINTS: usize = 100;

/// Destinations by hash.
#[derive(Debug, Clone)]
pub(super) struct Ring {
    hash: HashType,
    places: Places,
    /// The number of destinations, and for each the index of the first one on the same host.
    hosts: Vec<usize>,
}

#[derive(Debug, Clone)]
enum Places {
    /// Position and destination, ascending.
    Consistent(Vec<(i64, usize)>),
    /// Destinations in the order of their hashes.
    Fast(Vec<usize>),
}

impl Ring {
    /// Each name goes to the next point on the ring, so that few names move when a destination is
    /// added.
    pub(super) fn consistent(destinations: &[Address], hash: HashType) -> Self {
        let mut points: Vec<(i64, usize)> = Vec::with_capacity(destinations.len() * POINTS);
        for (at, destination) in destinations.iter().enumerate() {
            for point in 0..POINTS {
                let text = match hash {
                    HashType::Fnv1a => format!("{point}-{}", instance(destination)),
                    _ => format!("{}:{point}", node(destination)),
                };
                let mut position = hash.position(&text);
                // A position that is taken moves on.
                while let Ok(taken) = points.binary_search_by_key(&position, |(place, _)| *place) {
                    position = points[taken].0 + 1;
                }
                let place = points.partition_point(|(place, _)| *place < position);
                points.insert(place, (position, at));
            }
        }
        Self { hash, places: Places::Consistent(points), hosts: hosts(destinations) }
    }

    /// Each name goes to the destination with its hash modulo the number of destinations.
    pub(super) fn fast(destinations: &[Address], hash: HashType) -> Self {
        let mut nodes: Vec<_> = (0..destinations.len()).collect();
        nodes.sort_by_key(|at| hash.position(&node(&destinations[*at])));
        Self { hash, places: Places::Fast(nodes), hosts: hosts(destinations) }
    }

    /// The destinations of a name, in Carbon's order: `factor` of them, and of each host only one if
    /// they are `diverse`.
    pub(super) fn of(&self, name: &str, factor: usize, diverse: bool) -> Vec<usize> {
        let mut chosen: Vec<usize> = Vec::with_capacity(factor.min(self.hosts.len()));
        if factor == 0 {
            return chosen;
        }
        self.walk(name, |node| {
            let host = |node: usize| self.hosts[node];
            let excludes = |at: &usize| *at == node || (diverse && host(*at) == host(node));
            if !chosen.iter().any(excludes) {
                chosen.push(node);
            }
            chosen.len() < factor
        });
        chosen
    }

    /// Visits destinations from that of the name on, while `visit` returns true.
    fn walk(&self, name: &str, mut visit: impl FnMut(usize) -> bool) {
        let position = self.hash.position(name);
        match &self.places {
            Places::Consistent(points) => {
                let first = points.partition_point(|(place, _)| *place < position);
                let (before, after) = points.split_at(first);
                let mut nodes = after.iter().chain(before).map(|(_, node)| *node);
                // Carbon does not look at the point before the first one. A lone destination gets
                // everything.
                let looked = if self.hosts.len() == 1 { 1 } else { points.len().saturating_sub(1) };
                nodes.by_ref().take(looked).all(&mut visit);
            }
            Places::Fast(nodes) => {
                let Ok(count) = i64::try_from(nodes.len()) else { return };
                let first = usize::try_from(position.rem_euclid(count.max(1))).unwrap_or_default();
                let (before, after) = nodes.split_at(first.min(nodes.len()));
                after.iter().chain(before).all(|node| visit(*node));
            }
        }
    }

    /// Position and destination of each point, ascending; none with `fast-hashing`.
    pub(super) fn points(&self) -> &[(i64, usize)] {
        match &self.places {
            Places::Consistent(points) => points,
            Places::Fast(_) => &[],
        }
    }
}

/// For each destination the first one with the same host.
fn hosts(destinations: &[Address]) -> Vec<usize> {
    let first = |host: &str| destinations.iter().position(|other| other.host() == host);
    destinations.iter().map(|one| first(one.host()).unwrap_or_default()).collect()
}

/// The text of Python's tuple of host and instance.
fn node(destination: &Address) -> String {
    format!(
        "({}, {})",
        repr(destination.host()),
        destination.instance().map_or_else(|| "None".to_owned(), repr)
    )
}

fn instance(destination: &Address) -> &str {
    destination.instance().unwrap_or("None")
}

/// A text as Python writes it in a tuple.
fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut repr = String::from(quote);
    for c in text.chars() {
        if c == '\\' || c == quote {
            repr.push('\\');
        }
        repr.push(c);
    }
    repr.push(quote);
    repr
}

#[cfg(test)]
mod tests {
    use super::super::hash::HashType;
    use super::{Ring, repr};
    use crate::carbon::address::Address;

    fn addresses(texts: &[&str]) -> Vec<Address> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_points_are_those_of_carbon() {
        let nodes = addresses(&["127.0.0.1:2004:a", "127.0.0.1:2104:b"]);
        let ring = Ring::consistent(&nodes, HashType::Carbon);
        assert_eq!(ring.points().len(), 200);
        let first =
            [(398, 0), (474, 0), (1884, 1), (2138, 1), (2153, 0), (2318, 1), (2404, 1), (3127, 1)];
        assert_eq!(&ring.points()[..8], first);
        assert_eq!(&ring.points()[198..], [(64190, 1), (64408, 1)]);
        let nodes = addresses(&["10.0.0.1:1", "10.0.0.2:1"]);
        let ring = Ring::consistent(&nodes, HashType::Carbon);
        assert_eq!(&ring.points()[..3], [(437, 1), (824, 0), (884, 0)]);
    }

    #[test]
    fn copies_go_to_different_hosts_if_they_are_diverse() {
        let all = ["10.0.0.1:2004:a", "10.0.0.1:2104:b", "10.0.0.2:2004:a", "10.0.0.3:2004:a"];
        let ring = Ring::consistent(&addresses(&all), HashType::Carbon);
        assert_eq!(ring.of("hosts.worker1.cpu", 2, true), [1, 2]);
        assert_eq!(ring.of("hosts.worker1.cpu", 2, false), [1, 0]);
        assert_eq!(ring.of("b", 9, true), [2, 3, 1]);
        assert!(ring.of("a", 0, true).is_empty());
        let lone = Ring::consistent(&addresses(&["h:1"]), HashType::Carbon);
        assert_eq!((lone.of("x", 2, false), lone.of("x", 2, true)), (vec![0], vec![0]));
    }

    #[test]
    fn fast_hashing_counts_modulo() {
        let nodes = addresses(&["127.0.0.1:2004:a", "127.0.0.1:2104:b", "127.0.0.1:2204:c"]);
        let ring = Ring::fast(&nodes, HashType::Carbon);
        assert_eq!(ring.of("stats.gorets", 1, true), [2]);
        assert_eq!(ring.of("hosts.worker2.cpu", 1, true), [1]);
        let ring = Ring::fast(&nodes, HashType::Mmh3);
        assert_eq!(ring.of("hosts.worker1.cpu", 2, false), [0, 1]);
        assert_eq!(ring.of("c.d.e", 2, false), [2, 0]);
    }

    #[test]
    fn texts_are_quoted_as_in_python() {
        for (text, expected) in
            [("a", "'a'"), ("it's", "\"it's\""), ("\\", "'\\\\'"), ("'\"", "'\\'\"'")]
        {
            assert_eq!(repr(text), expected);
        }
    }
}
