//! Finds names that are also folders: `x.abc` beside `x.abc.def`. Carbon stores both, and Graphite's
//! tree shows only one of them.
//!
//! Pure. Names with tags are not in the tree. The parts of one gauge (`depth`, `depth.max`) are not
//! reported, because flags select them. The first 100,000 names and folders are examined, each of them
//! when it is new.

use super::gauge_parts::GaugeParts;
use crate::backend::Payload;
use memchr::{memchr, memchr_iter};
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher as _;

/// Maximum number of names, and of folders, that are examined while the worker runs.
const MAX_REMEMBERED: usize = 100_000;

/// Maximum number of collisions that are reported while the worker runs, and in one window.
const MAX_REPORTED: usize = 1_000;
const MAX_FOUND: usize = 10;

/// Hashes of names or folders.
type Hashes = HashSet<u64, foldhash::fast::RandomState>;

/// What is known from earlier windows.
#[derive(Debug, Default)]
pub(super) struct Folders {
    names: Hashes,
    folders: Hashes,
    hasher: foldhash::fast::RandomState,
    /// Collisions that a later window reports, and the number of all so far.
    waiting: VecDeque<Collision>,
    found: usize,
}

/// A name that is also a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Collision {
    pub(super) name: String,
    /// A name in the folder. `None` if it was only in an earlier window.
    pub(super) inside: Option<String>,
}

impl Folders {
    /// The names that are also folders, each of them once while the worker runs.
    pub(super) fn collisions(
        &mut self,
        payloads: &[Payload],
        parts: &GaugeParts,
    ) -> Vec<Collision> {
        let all = || payloads.iter().flat_map(|payload| names(&payload.body));
        // The last name that is not the part of a gauge.
        let mut base: &[u8] = b"";
        for name in all() {
            if self.names.len() >= MAX_REMEMBERED || self.folders.len() >= MAX_REMEMBERED {
                break;
            }
            let is_part = is_part_of(base, name, parts);
            if !is_part {
                base = name;
            }
            self.examine(name, is_part);
        }
        if self.waiting.iter().any(|one| one.inside.is_none()) {
            all().for_each(|name| complete(&mut self.waiting, name));
        }
        let most = self.waiting.len().min(MAX_FOUND);
        self.waiting.drain(..most).collect()
    }

    fn examine(&mut self, name: &[u8], is_part: bool) {
        let hash = self.hasher.hash_one(name);
        if !self.names.insert(hash) {
            return;
        }
        if self.folders.contains(&hash) {
            self.report(name, None);
        }
        if is_part {
            return;
        }
        for end in memchr_iter(b'.', name) {
            let (folder, _) = name.split_at(end);
            let hash = self.hasher.hash_one(folder);
            if self.folders.insert(hash) && self.names.contains(&hash) {
                self.report(folder, Some(name));
            }
        }
    }

    fn report(&mut self, name: &[u8], inside: Option<&[u8]>) {
        if self.found < MAX_REPORTED {
            self.found += 1;
            let inside = inside.map(text);
            self.waiting.push_back(Collision { name: text(name), inside });
        }
    }
}

/// Adds a name to the collisions in whose folder it is.
fn complete(found: &mut VecDeque<Collision>, name: &[u8]) {
    let is_in = |one: &&mut Collision| {
        let rest = name.strip_prefix(one.name.as_bytes());
        one.inside.is_none() && rest.is_some_and(|rest| rest.starts_with(b"."))
    };
    for one in found.iter_mut().filter(is_in) {
        one.inside = Some(text(name));
    }
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// The names in lines, except for those with tags.
fn names(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = body;
    let lines = std::iter::from_fn(move || {
        let end = memchr(b'\n', rest)?;
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        Some(line)
    });
    let names = lines.filter_map(|line| line.get(..memchr(b' ', line)?));
    names.filter(|name| memchr(b';', name).is_none())
}

/// Whether a name is that of a further value of the gauge `base`.
fn is_part_of(base: &[u8], name: &[u8], parts: &GaugeParts) -> bool {
    let Some(rest) = name.strip_prefix(base).and_then(|rest| rest.strip_prefix(b".")) else {
        return false;
    };
    let base = String::from_utf8_lossy(base);
    !base.is_empty() && parts.of(&base).iter().any(|part| part.suffix().as_bytes() == rest)
}

#[cfg(test)]
mod tests {
    use super::{Collision, Folders, MAX_FOUND, MAX_REMEMBERED, MAX_REPORTED};
    use crate::backend::Payload;
    use crate::carbon::gauge_parts::GaugeParts;

    fn window(names: &[&str]) -> Vec<Payload> {
        let lines = |names: &[&str]| names.iter().map(|name| format!("{name} 1 60\n")).collect();
        let (left, right) = names.split_at(names.len() / 2);
        [left, right]
            .map(|names| Payload::new(String::into_bytes(lines(names)), names.len()))
            .into()
    }

    /// The collisions as `name inside`.
    fn found(folders: &mut Folders, names: &[&str]) -> Vec<String> {
        let found = folders.collisions(&window(names), &GaugeParts::default());
        let shown = |Collision { name, inside }: Collision| {
            format!("{name} {}", inside.as_deref().unwrap_or("-"))
        };
        found.into_iter().map(shown).collect()
    }

    #[test]
    fn a_name_that_is_also_a_folder_is_found_wherever_the_two_are() {
        for (names, expected) in [
            (&["x.abc", "x.abc.def"][..], &["x.abc x.abc.def"][..]),
            (&["x.abc.def", "x.abc-1", "y", "x.abc"], &["x.abc x.abc.def"]),
            (&["x", "x.a.b.c"], &["x x.a.b.c"]),
            (&["x.a.b.c", "x.a", "x.a.b"], &["x.a x.a.b.c", "x.a.b x.a.b.c"]),
            (&["x.abc", "x.abcd.e", "x.ab.c", "xabc.d"], &[]),
            (&["x", "y", "x"], &[]),
            // Tags are not in the tree.
            (&["x.abc;a=b", "x.abc.def"], &[]),
            (&["x.abc", "x.abc.def;a=b"], &[]),
        ] {
            assert_eq!(found(&mut Folders::default(), names), expected, "{names:?}");
        }
    }

    #[test]
    fn a_name_is_reported_once_and_also_if_the_other_was_in_an_earlier_window() {
        let mut folders = Folders::default();
        assert_eq!(found(&mut folders, &["a", "b.c.d"]), [""; 0]);
        assert_eq!(found(&mut folders, &["a.x", "b"]), ["a a.x", "b -"]);
        assert_eq!(found(&mut folders, &["a", "a.x", "a.y", "b.c", "b"]), ["b.c -"]);
        assert_eq!(found(&mut folders, &["b.c", "b.c.d"]), [""; 0]);
    }

    #[test]
    fn the_parts_of_one_gauge_are_not_reported() {
        let names = ["a.in_flight", "a.in_flight.max", "a.queue", "a.queue.max"];
        // The queue has one part by default, so these are two series.
        assert_eq!(found(&mut Folders::default(), &names), ["a.queue a.queue.max"]);
        let parts = "last,min,max".parse().unwrap();
        let all = window(&["q", "q.min", "q.max", "r", "r.min", "r.max", "r.max.x"]);
        let found = Folders::default().collisions(&all, &parts);
        let inside = |name: &str| Some(name.to_owned());
        assert_eq!(
            found,
            [
                Collision { name: "r".to_owned(), inside: inside("r.max.x") },
                Collision { name: "r.max".to_owned(), inside: inside("r.max.x") },
            ]
        );
    }

    #[test]
    fn reports_and_memory_are_bounded() {
        let mut folders = Folders::default();
        let names = |n: usize| [format!("n{n}"), format!("n{n}.x")];
        let names: Vec<_> = (0..MAX_REMEMBERED + 10).flat_map(names).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let mut reported = 0;
        for _ in 0..=MAX_REPORTED / MAX_FOUND {
            let found = found(&mut folders, &names);
            assert!(found.len() <= MAX_FOUND && found.iter().all(|one| !one.ends_with('-')));
            reported += found.len();
        }
        assert_eq!(reported, MAX_REPORTED);
        assert!(folders.names.len() <= MAX_REMEMBERED && folders.folders.len() <= MAX_REMEMBERED);
        assert_eq!(found(&mut folders, &["new", "new.x"]), [""; 0]);
    }
}
