//! Sites whose names are made at run time, so that a name is turned into a site once.
//!
//! They stand in a tree that only grows, so that looking one up takes no lock: eight ways at every
//! node, by three bits of the hash each.

use super::capture;
use super::handle::instrument as installed_instrument;
use super::ledger::Loss;
use super::site::Site;
use crate::measurement::{Name, check_name};
use once_cell::race::OnceBox;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most names made at run time, of all call sites together. Further ones are measured under
/// [`OVERFLOW_NAME`].
const MAX_NAMES: usize = 10_000;

/// How many bits of the hash choose a way.
const BITS: u32 = 3;

/// The name of what has no name of its own any more.
#[doc(hidden)]
pub const OVERFLOW_NAME: &str = "_overflow";

static NAMES: Ways = Ways::new();
static KNOWN: AtomicUsize = AtomicUsize::new(0);

/// The first name that found no room.
static OVERFLOWING: OnceBox<Name> = OnceBox::new();

/// What leads on from a node.
#[derive(Debug)]
struct Ways([OnceBox<Node>; 1 << BITS]);

#[derive(Debug)]
struct Node {
    hash: u64,
    like: &'static Site,
    name: &'static str,
    site: Site,
    ways: Ways,
}

impl Ways {
    const fn new() -> Self {
        Self([const { OnceBox::new() }; 1 << BITS])
    }
}

/// What a name made at run time can be; where it cannot, the compiler complains here.
#[doc(hidden)]
#[inline]
pub fn name<T: AsRef<str> + ?Sized>(name: &T) -> &str {
    name.as_ref()
}

/// The site that is like this one but for its name.
#[doc(hidden)]
pub fn named(like: &'static Site, name: &str) -> &'static Site {
    let mut hasher = DefaultHasher::new();
    (ptr::from_ref(like), name).hash(&mut hasher);
    let hash = hasher.finish();
    let mut rest = hash;
    let mut ways = &NAMES;
    loop {
        let way = &ways.0[(rest % (1 << BITS)) as usize];
        let node = match way.get() {
            Some(node) => node,
            None => match grown(way, hash, like, name) {
                Ok(node) => node,
                Err(instead) => return instead,
            },
        };
        if node.hash == hash && ptr::eq(node.like, like) && node.name == name {
            return &node.site;
        }
        ways = &node.ways;
        rest >>= BITS;
    }
}

/// A node at the end of a way; or the site to take instead, if the name may not be or there are
/// too many.
#[cold]
fn grown(
    way: &'static OnceBox<Node>,
    hash: u64,
    like: &'static Site,
    name: &str,
) -> Result<&'static Node, &'static Site> {
    if check_name(name).is_err() {
        if let Some(instrument) = installed_instrument().filter(|_| !capture::capturing()) {
            instrument.ledger().refuse(Loss::Name);
        }
        return Err(nowhere());
    }
    let one_more = |known: usize| (known < MAX_NAMES).then_some(known + 1);
    if KNOWN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
        if let Ok(name) = Name::new(name) {
            OVERFLOWING.get_or_init(|| Box::new(name));
        }
        return Err(like);
    }
    let leaked: &'static str = String::leak(name.to_owned());
    let node = Node { hash, like, name: leaked, site: like.with_name(leaked), ways: Ways::new() };
    // Another thread may be faster; then the way leads on from what it found.
    if way.set(Box::new(node)).is_err() {
        KNOWN.fetch_sub(1, Ordering::Relaxed);
    }
    way.get().ok_or(like)
}

/// The first name that found no room.
pub(crate) fn overflowing() -> Option<Name> {
    OVERFLOWING.get().cloned()
}

/// A site that nobody wants.
#[doc(hidden)]
#[must_use]
pub fn nowhere() -> &'static Site {
    static NOWHERE: Site = Site::unwanted();
    &NOWHERE
}
