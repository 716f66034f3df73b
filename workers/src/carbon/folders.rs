//! Finds names that are also folders: `x.abc` beside `x.abc.def`. Carbon stores both, and Graphite's
//! tree shows only one of them.
//!
//! Pure. Names with tags are not in the tree. The parts of one gauge (`depth`, `depth.max`) are not
//! reported, because flags select them.

use super::gauge_parts::GaugeParts;
use crate::backend::Payload;
use crate::hash::{START, fnv1a_after};
use memchr::{memchr, memchr_iter, memrchr};
use std::collections::HashSet;

/// Maximum number of names, and of folders, that are remembered from earlier windows.
const MAX_REMEMBERED: usize = 100_000;

/// Maximum number of names that are reported while the worker runs, and in one window.
const MAX_REPORTED: usize = 1_000;
const MAX_FOUND: usize = 10;

/// The hashes of names or folders.
type Hashes = HashSet<u64>;

/// What is known from earlier windows.
#[derive(Debug, Default)]
pub(super) struct Folders {
    names: Hashes,
    tree: Tree,
    reported: Hashes,
}

/// Folders, and those of them in which there are further ones. The outermost has the hash of no bytes.
#[derive(Debug, Default)]
struct Tree {
    folders: Hashes,
    parents: Hashes,
}

/// A name that is also a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Collision {
    pub(super) name: String,
    /// A name in the folder. `None` if it was only in an earlier window.
    pub(super) inside: Option<String>,
}

impl Folders {
    /// The names of a window that are also folders, each of them once while the worker runs.
    pub(super) fn collisions(
        &mut self,
        payloads: &[Payload],
        parts: &GaugeParts,
    ) -> Vec<Collision> {
        let (mut found, mut tree) = (Vec::new(), Tree::default());
        each(payloads, parts, |name, around| {
            for (at, (length, hash)) in around.iter().enumerate().rev() {
                // If a folder is known, so are those around it.
                if !tree.folders.insert(*hash) {
                    return;
                }
                tree.parents.insert(outer(around, at));
                if self.names.contains(hash) && self.is_news(*hash, &found) {
                    let folder = name.bytes.get(..*length).unwrap_or_default();
                    found.push(Collision { name: text(folder), inside: Some(text(name.bytes)) });
                }
            }
        });
        let (mut has_folders, mut has_unknown) = (false, false);
        each(payloads, parts, |name, _| {
            if name.is_first {
                // Most folders have no further ones, and then none of their names is one.
                let is_parent = |tree: &Tree| tree.parents.contains(&name.folder);
                has_folders = is_parent(&tree) || is_parent(&self.tree);
            }
            let is_full = self.names.len() >= MAX_REMEMBERED;
            if is_full && !has_folders {
                return;
            }
            let hash = name.hash();
            let is_inside = has_folders && tree.folders.contains(&hash);
            let was_inside = has_folders && self.tree.folders.contains(&hash);
            if (is_inside || was_inside) && self.is_news(hash, &found) {
                has_unknown |= is_inside;
                found.push(Collision { name: text(name.bytes), inside: None });
            }
            remember(&mut self.names, hash);
        });
        tree.folders.into_iter().for_each(|hash| remember(&mut self.tree.folders, hash));
        tree.parents.into_iter().for_each(|hash| remember(&mut self.tree.parents, hash));
        if has_unknown {
            each(payloads, parts, |name, _| complete(&mut found, name));
        }
        found
    }

    /// Whether a collision is to be reported, and was not before.
    fn is_news(&mut self, name: u64, found: &[Collision]) -> bool {
        let has_room = found.len() < MAX_FOUND && self.reported.len() < MAX_REPORTED;
        has_room && self.reported.insert(name)
    }
}

fn remember(known: &mut Hashes, hash: u64) {
    if known.len() < MAX_REMEMBERED {
        known.insert(hash);
    }
}

/// Adds a name to the collisions in whose folder it is.
fn complete(found: &mut [Collision], name: &Name<'_>) {
    let is_in = |one: &&mut Collision| {
        let rest = name.bytes.strip_prefix(one.name.as_bytes());
        let is_empty = one.inside.is_none() && !name.is_part;
        is_empty && rest.is_some_and(|rest| rest.starts_with(b"."))
    };
    for one in found.iter_mut().filter(is_in) {
        one.inside = Some(text(name.bytes));
    }
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// A name without tags.
struct Name<'a> {
    bytes: &'a [u8],
    /// The hash of its folder, and what follows it, with the dot.
    folder: u64,
    last: &'a [u8],
    /// Whether the name before has another folder.
    is_first: bool,
    /// Whether it is a part of the gauge in the line before.
    is_part: bool,
}

impl Name<'_> {
    fn hash(&self) -> u64 {
        fnv1a_after(self.folder, self.last)
    }
}

/// The length and the hash of a folder.
type Folder = (usize, u64);

/// The hash of the folder around one of these, which are in each other.
fn outer(folders: &[Folder], at: usize) -> u64 {
    let outer = at.checked_sub(1).and_then(|at| folders.get(at));
    outer.map_or(START, |(_, hash)| *hash)
}

/// Calls `visit` with each name, and with its folders, the outermost first, unless they are those of
/// the name before.
fn each(payloads: &[Payload], parts: &GaugeParts, mut visit: impl FnMut(&Name<'_>, &[Folder])) {
    let (mut around, mut folders): (Option<&[u8]>, Vec<Folder>) = (None, Vec::new());
    let (mut base, mut hash): (&[u8], u64) = (b"", START);
    for bytes in payloads.iter().flat_map(|payload| names(&payload.body)) {
        let (folder, last) = bytes.split_at(memrchr(b'.', bytes).unwrap_or(0));
        let is_first = around != Some(folder);
        if is_first {
            hash = path(folder, &mut folders);
        }
        let is_part = is_part_of(base, bytes, parts);
        // A folder of parts does not count, so it is not that of the next name.
        around = (!is_part).then_some(folder);
        if !is_part {
            base = bytes;
        }
        let new = if is_first && !is_part { &*folders } else { &[] };
        visit(&Name { bytes, folder: hash, last, is_first, is_part }, new);
    }
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

/// The hash of a folder, and all folders of it, the outermost first.
fn path(folder: &[u8], folders: &mut Vec<Folder>) -> u64 {
    folders.clear();
    if folder.is_empty() {
        return START;
    }
    let (mut hash, mut begin) = (START, 0);
    for end in memchr_iter(b'.', folder).chain([folder.len()]) {
        hash = fnv1a_after(hash, folder.get(begin..end).unwrap_or_default());
        folders.push((end, hash));
        begin = end;
    }
    hash
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
    use std::collections::HashSet;

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
        let mut reported = found(&mut folders, &names).len();
        for _ in 0..=MAX_REPORTED / MAX_FOUND {
            let found = found(&mut folders, &names[..3 * MAX_REPORTED]);
            assert!(found.len() <= MAX_FOUND && found.iter().all(|one| !one.ends_with('-')));
            reported += found.len();
        }
        assert_eq!((reported, folders.reported.len()), (MAX_REPORTED, MAX_REPORTED));
        let sizes = [&folders.names, &folders.tree.folders].map(HashSet::len);
        assert_eq!(sizes, [MAX_REMEMBERED; 2]);
    }
}
