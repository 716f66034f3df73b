//! A cache, in each thread, of series that are known only at run time. A hit needs neither a lock nor an
//! allocation.

use super::key::Key;
use super::names::Named;
use crate::sdk::cells::per_process::generation;
use hashbrown::HashTable;
use std::cell::RefCell;
use std::sync::Arc;

/// Maximum number of series that a thread finds without a lock.
const MAX_CACHED: usize = 4096;

thread_local! {
    static CACHE: RefCell<Cache> = const { RefCell::new(Cache { generation: 0, table: HashTable::new() }) };
}

/// The series that a thread used last.
struct Cache {
    /// The process whose series these are.
    generation: u64,
    table: HashTable<Arc<Named>>,
}

/// Calls `act` with the series of `key`. If the cache does not have it, `find` looks it up; returns
/// `None` if `find` does.
#[inline]
pub(crate) fn with<T>(
    key: &Key,
    find: impl FnOnce() -> Option<Arc<Named>>,
    act: impl FnOnce(&Arc<Named>) -> T,
) -> Option<T> {
    with_parts(key.hash(), |other| *other == *key.bytes(), find, act)
}

/// Calls `act` with the series whose key has this hash and `is_it`; see [`with`].
#[inline]
pub(crate) fn with_parts<T>(
    hash: u64,
    is_it: impl Fn(&[u8]) -> bool,
    find: impl FnOnce() -> Option<Arc<Named>>,
    act: impl FnOnce(&Arc<Named>) -> T,
) -> Option<T> {
    let mut act = Some(act);
    // Nothing in the cache is changed while `act` runs, which may measure, too.
    let cached = CACHE.try_with(|cache| {
        let cache = cache.try_borrow().ok()?;
        if cache.generation != generation() {
            return None;
        }
        let is_it = |named: &Arc<Named>| named.hash() == hash && is_it(named.key_bytes());
        let named = cache.table.find(hash, is_it)?;
        if !named.is_current() {
            return None;
        }
        Some(act.take()?(named))
    });
    match (cached, act) {
        (Ok(Some(done)), _) => Some(done),
        (_, Some(act)) => with_found(find()?, act),
        (_, None) => None,
    }
}

#[cold]
fn with_found<T>(named: Arc<Named>, act: impl FnOnce(&Arc<Named>) -> T) -> Option<T> {
    let keep = |cache: &RefCell<Cache>| {
        let Ok(mut cache) = cache.try_borrow_mut() else { return };
        let hash = named.hash();
        let mut old = HashTable::new();
        if cache.generation != generation() || cache.table.len() >= MAX_CACHED {
            cache.generation = generation();
            old = std::mem::take(&mut cache.table);
        }
        // One that has left is in the way of its successor.
        let is_it =
            |other: &Arc<Named>| other.hash() == hash && other.key_bytes() == named.key_bytes();
        let left = cache.table.find_entry(hash, is_it).ok().map(|entry| entry.remove().0);
        cache.table.insert_unique(hash, Arc::clone(&named), |named| named.hash());
        drop(cache);
        // Dropping a series takes a lock, and may be measured.
        drop((old, left));
    };
    // Without a cache the registry has to do: the thread ends.
    CACHE.try_with(keep).ok();
    Some(act(&named))
}
