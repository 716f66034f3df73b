//! Series with names known only at run time. A name is looked up without a lock.
//!
//! Known names are in a tree that only grows. Each node has eight children, chosen by three bits of
//! the hash. The number of names is limited, because names made from user input could fill any
//! memory. Beyond the limit, all names are measured together as [`OVERFLOW_NAME`], and the first of
//! them is remembered.

use super::point::Point;
use super::series::{Loss, Series, Shape};
use crate::measurement::{Kind, Level, Name, Source};
use crate::sdk::cells::lock;
use crate::sdk::cells::per_process::PerProcess;
use crate::sdk::cells::shared::Taken;
use once_cell::race::OnceBox;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The name of all series beyond the limit.
#[doc(hidden)]
pub const OVERFLOW_NAME: &str = "_overflow";

/// Maximum number of names of one instrument, and of all call sites together.
pub(crate) const MAX_NAMES: usize = 100_000;

/// Maximum number of `_overflow` series, one for each level, kind and source. Their number must be
/// limited too.
const MAX_OVERFLOWS: usize = 1000;

/// The number of bits of the hash that choose a child.
const BITS: u32 = 3;

#[derive(Debug)]
pub(crate) struct Registry<T> {
    ways: [OnceBox<Node<T>>; 1 << BITS],
    known: AtomicUsize,
    hasher: OnceBox<RandomState>,
    overflowing: OnceBox<Name>,
}

#[derive(Debug)]
struct Node<T> {
    hash: u64,
    value: T,
    /// The children.
    ways: [OnceBox<Self>; 1 << BITS],
}

impl<T> Registry<T> {
    pub(crate) const fn new() -> Self {
        Self {
            ways: [const { OnceBox::new() }; 1 << BITS],
            known: AtomicUsize::new(0),
            hasher: OnceBox::new(),
            overflowing: OnceBox::new(),
        }
    }

    /// The value of a key. If it is missing, `make` creates it, unless there are `most` values
    /// already. If several threads create values at the same time, there may be a few more.
    ///
    /// # Errors
    /// [`Loss::Name`] if `make` returns `None`, [`Loss::TooManyNames`] if there are too many names.
    pub(crate) fn find_or_make(
        &self,
        key: impl Hash,
        is_it: impl Fn(&T) -> bool,
        make: impl Fn() -> Option<T>,
        most: usize,
    ) -> Result<&T, Loss> {
        let hash = self.hasher.get_or_init(Box::default).hash_one(key);
        let mut made = None;
        loop {
            let way = match self.find(hash, &is_it) {
                Ok(found) => return Ok(found),
                Err(way) => way,
            };
            let node = match made.take() {
                Some(node) => node,
                None if self.known.load(Ordering::Relaxed) >= most => {
                    return Err(Loss::TooManyNames);
                }
                None => {
                    let (value, ways) = (make().ok_or(Loss::Name)?, Default::default());
                    Box::new(Node { hash, value, ways })
                }
            };
            // If another thread was faster, the search continues from its node.
            made = way.set(node).err();
            if made.is_none() {
                self.known.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The value, or the place where it belongs.
    fn find(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Result<&T, &OnceBox<Node<T>>> {
        let (mut rest, mut ways) = (hash, &self.ways);
        loop {
            let way = &ways[(rest % (1 << BITS)) as usize];
            match way.get() {
                None => return Err(way),
                Some(node) if node.hash == hash && is_it(&node.value) => return Ok(&node.value),
                Some(node) => ways = &node.ways,
            }
            rest >>= BITS;
        }
    }

    /// Remembers the first name beyond the limit.
    ///
    /// # Errors
    /// [`Loss::Name`] if the name is invalid.
    pub(crate) fn overflow(&self, name: &str) -> Result<(), Loss> {
        let name = Name::new(name).map_err(|_| Loss::Name)?;
        self.overflowing.get_or_init(|| Box::new(name));
        Ok(())
    }

    /// The first name beyond the limit.
    pub(crate) fn overflowing(&self) -> Option<Name> {
        self.overflowing.get().cloned()
    }

    pub(crate) fn for_each(&self, mut act: impl FnMut(&T)) {
        for_each(&self.ways, &mut act);
    }
}

fn for_each<T>(ways: &[OnceBox<Node<T>>], act: &mut impl FnMut(&T)) {
    for node in ways.iter().filter_map(OnceBox::get) {
        act(&node.value);
        for_each(&node.ways, act);
    }
}

/// The named series of one instrument.
#[derive(Debug)]
pub(crate) struct Names {
    /// The number of the instrument.
    number: u64,
    pub(crate) registry: Registry<Arc<Named>>,
    /// Series of handles that were inherited from the parent and are used in this process.
    adopted: Mutex<Vec<Arc<Named>>>,
}

/// One series. Readings by name go into the shared cell of its point.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) series: Series,
    pub(crate) point: &'static Point,
    /// The number of the instrument that collects its readings.
    collected_by: AtomicU64,
}

/// Unused points of each kind, for the next series. Points live as long as the process, because the
/// sender must find all of them.
static FREE: PerProcess<Mutex<[Vec<&'static Point>; 4]>> = PerProcess::new(Mutex::new(NONE));

const NONE: [Vec<&'static Point>; 4] = [const { Vec::new() }; 4];

/// The key for looking up a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key<'a> {
    pub(crate) kind: Kind,
    pub(crate) level: &'a str,
    pub(crate) name: &'a str,
    pub(crate) source: &'a Source,
}

impl Key<'_> {
    pub(crate) fn series(self) -> Option<Series> {
        let (level, name) = (Level::new(self.level).ok()?, Name::new(self.name).ok()?);
        Some(Series { level, source: self.source.clone(), name, kind: self.kind, tags: &[] })
    }
}

impl Named {
    fn new(series: Series, number: u64) -> Arc<Self> {
        let found = lock(FREE.get(|_| Mutex::new(NONE)))[series.kind as usize].pop();
        let new = || Box::leak(Box::new(Point::new(Shape::of(series.kind))));
        let point = found.unwrap_or_else(|| new());
        point.clear();
        Arc::new(Self { series, point, collected_by: AtomicU64::new(number) })
    }

    fn is(&self, key: Key<'_>) -> bool {
        let Series { level, source, name, kind, tags: _ } = &self.series;
        key == Key { kind: *kind, level: level.as_str(), name: name.as_str(), source }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.point.ask_again();
        lock(FREE.get(|_| Mutex::new(NONE)))[self.series.kind as usize].push(self.point);
    }
}

impl Names {
    pub(crate) const fn new(number: u64) -> Self {
        Self { number, registry: Registry::new(), adopted: Mutex::new(Vec::new()) }
    }

    /// The series, or the `_overflow` series beyond the limit.
    pub(crate) fn find_or_add(&self, key: Key<'_>) -> Result<&Arc<Named>, Loss> {
        match self.look(key, MAX_NAMES) {
            Err(Loss::TooManyNames) => {
                self.registry.overflow(key.name)?;
                self.look(Key { name: OVERFLOW_NAME, ..key }, MAX_NAMES + MAX_OVERFLOWS)
            }
            found => found,
        }
    }

    fn look(&self, key: Key<'_>, most: usize) -> Result<&Arc<Named>, Loss> {
        let make = || Some(Named::new(key.series()?, self.number));
        self.registry.find_or_make(key, |named| named.is(key), make, most)
    }

    /// Makes this instrument collect the readings of a handle that was inherited from the parent.
    pub(crate) fn adopt(&self, named: &Arc<Named>) {
        let is_ours = || named.collected_by.load(Ordering::SeqCst) == self.number;
        if is_ours() {
            return;
        }
        let mut adopted = lock(&self.adopted);
        if !is_ours() {
            // Earlier readings belong to the parent.
            named.point.clear();
            adopted.push(Arc::clone(named));
            named.collected_by.store(self.number, Ordering::SeqCst);
        }
    }

    /// Takes the readings of every series whose level is in `of`.
    pub(crate) fn collect(&self, of: impl Fn(&Level) -> bool, mut to: impl FnMut(&Series, Taken)) {
        self.for_each(|named| {
            if of(&named.series.level)
                && let Some(taken) = named.point.take()
            {
                to(&named.series, taken);
            }
        });
    }

    /// The number of readings that were ever recorded.
    pub(crate) fn made(&self) -> u64 {
        let mut made = 0;
        self.for_each(|named| made += named.point.made());
        made
    }

    fn for_each(&self, mut act: impl FnMut(&Arc<Named>)) {
        self.registry.for_each(&mut act);
        let adopted = lock(&self.adopted).clone();
        adopted.iter().for_each(act);
    }
}

#[cfg(test)]
mod tests {
    use super::Registry;

    #[test]
    fn threads_that_look_for_the_same_names_find_the_same_things() {
        let registry = Registry::new();
        let find = |name: usize| {
            let make = || Some((name, Box::new(name)));
            let found = registry.find_or_make(name, |(known, _)| *known == name, make, 1004);
            found.ok().map(|(_, value)| std::ptr::from_ref(&**value) as usize)
        };
        let found: Vec<Vec<_>> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..1000).map(find).collect())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(found.iter().all(|of_thread| *of_thread == found[0]));
        assert!(found[0].iter().all(Option::is_some));
        assert!((1000..1004).all(|name| find(name).is_some()) && find(1004).is_none());
        let mut count = 0;
        registry.for_each(|_| count += 1);
        assert_eq!(count, 1004);
    }
}
