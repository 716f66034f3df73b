//! What is known under names made at run time, so that a name is looked up without a lock.
//!
//! It is a tree that only grows: eight ways at every node, by three bits of the hash each. There is
//! a limit, because names made from what users type would fill any memory. Beyond it things are
//! measured together under [`OVERFLOW_NAME`], and the first name beyond it is remembered.

use crate::measurement::Name;
use once_cell::race::OnceBox;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The name of everything beyond the limit.
#[doc(hidden)]
pub const OVERFLOW_NAME: &str = "_overflow";

/// How many bits of the hash choose a way.
const BITS: u32 = 3;

#[derive(Debug)]
pub(crate) struct Registry<T> {
    ways: Ways<T>,
    known: AtomicUsize,
    hasher: OnceBox<RandomState>,
    overflowing: OnceBox<Name>,
}

/// What leads on from a node.
#[derive(Debug)]
struct Ways<T>([OnceBox<Node<T>>; 1 << BITS]);

#[derive(Debug)]
struct Node<T> {
    hash: u64,
    value: T,
    ways: Ways<T>,
}

impl<T> Ways<T> {
    const fn new() -> Self {
        Self([const { OnceBox::new() }; 1 << BITS])
    }

    fn for_each(&self, act: &mut impl FnMut(&T)) {
        for node in self.0.iter().filter_map(OnceBox::get) {
            act(&node.value);
            node.ways.for_each(act);
        }
    }
}

impl<T> Registry<T> {
    pub(crate) const fn new() -> Self {
        Self {
            ways: Ways::new(),
            known: AtomicUsize::new(0),
            hasher: OnceBox::new(),
            overflowing: OnceBox::new(),
        }
    }

    /// The value of a key. One that is not there yet, `make` makes, unless there are `most` already.
    ///
    /// # Errors
    /// Those of `make`; `None` if there are too many.
    pub(crate) fn find_or_make<E>(
        &self,
        key: impl Hash,
        is_it: impl Fn(&T) -> bool,
        make: impl FnOnce() -> Result<T, E>,
        most: usize,
    ) -> Result<&T, Option<E>> {
        let hash = self.hasher.get_or_init(Box::default).hash_one(key);
        let (mut rest, mut ways) = (hash, &self.ways);
        let mut make = Some(make);
        let mut made = None;
        loop {
            let way = &ways.0[(rest % (1 << BITS)) as usize];
            if way.get().is_none() {
                let node = match (made.take(), make.take()) {
                    (Some(node), _) => node,
                    (None, Some(make)) => {
                        self.has_room(most).then_some(()).ok_or(None)?;
                        let value = make().map_err(|error| {
                            self.give_back_room();
                            Some(error)
                        })?;
                        Box::new(Node { hash, value, ways: Ways::new() })
                    }
                    (None, None) => return Err(None),
                };
                // Another thread may be faster; then the way leads on from what it found.
                made = way.set(node).err();
            }
            let Some(node) = way.get() else { return Err(None) };
            if node.hash == hash && is_it(&node.value) {
                if made.is_some() {
                    self.give_back_room();
                }
                return Ok(&node.value);
            }
            ways = &node.ways;
            rest >>= BITS;
        }
    }

    fn has_room(&self, most: usize) -> bool {
        let one_more = |known: usize| (known < most).then_some(known + 1);
        self.known.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    fn give_back_room(&self) {
        self.known.fetch_sub(1, Ordering::Relaxed);
    }

    /// Remembers the first name that found no room.
    pub(crate) fn overflow(&self, name: Name) {
        self.overflowing.get_or_init(|| Box::new(name));
    }

    /// The first name that found no room.
    pub(crate) fn overflowing(&self) -> Option<Name> {
        self.overflowing.get().cloned()
    }

    pub(crate) fn for_each(&self, mut act: impl FnMut(&T)) {
        self.ways.for_each(&mut act);
    }
}

#[cfg(test)]
mod tests {
    use super::Registry;
    use std::convert::Infallible;

    #[test]
    fn threads_that_look_for_the_same_names_find_the_same_things() {
        let registry = Registry::new();
        let find = |name: usize| {
            let make = || Ok::<_, Infallible>((name, Box::new(name)));
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
        // While they met, each took room for a moment.
        assert!((1000..1004).all(|name| find(name).is_some()) && find(1004).is_none());
        let mut count = 0;
        registry.for_each(|_| count += 1);
        assert_eq!(count, 1004);
    }
}
