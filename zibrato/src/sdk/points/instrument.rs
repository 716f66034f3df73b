//! The part of an instrument that points use: the levels that it wants, the series with names
//! known only at run time, and annotations.

use super::annotations::Annotations;
use super::names::Registry;
use super::point;
use super::series::Losses;
use crate::measurement::{Level, Source};
use crate::sdk::cells::per_process::generation;
use crate::sdk::notices::Once;
use crate::wire::WantedLevels;
use once_cell::race::OnceBox;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The number of the installed instrument; 0 while there is none.
static INSTALLATION: AtomicU64 = AtomicU64::new(0);

/// A level of the settings looks like a misspelling.
static MISSPELT: Once = Once::new();

/// The number that the next instrument gets.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The function that finds the installed instrument of this process. Unset before the first
/// installation.
static FIND: OnceBox<Find> = OnceBox::new();

type Find = fn() -> Option<Arc<Instrument>>;

/// Sets the function that finds the installed instrument.
pub(crate) fn find_installed_by(find: Find) {
    FIND.get_or_init(|| Box::new(find));
}

/// The installed instrument of this process.
pub(crate) fn installed() -> Option<Arc<Instrument>> {
    FIND.get()?()
}

/// The source of captured readings that have none of their own.
pub(crate) fn source() -> Source {
    installed().map(|instrument| instrument.source.clone()).unwrap_or_default()
}

pub(crate) fn installation() -> u64 {
    INSTALLATION.load(Ordering::SeqCst)
}

/// Whether the installed instrument, which is `instrument`, wants a level; `None` if that will be
/// known soon.
pub(crate) fn is_wanted(instrument: Option<&Instrument>, level: &str) -> Option<bool> {
    let installed = installation();
    match instrument {
        Some(instrument) if instrument.number == installed => Some(instrument.wants(level)),
        _ if installed == 0 => Some(false),
        // Another one is just being installed; the next use will find it.
        _ => None,
    }
}

pub(crate) fn set_installation(number: u64) {
    INSTALLATION.store(number, Ordering::SeqCst);
}

/// Ends the installation `number`, unless another one has followed.
pub(crate) fn end_installation(number: u64) {
    INSTALLATION.compare_exchange(number, 0, Ordering::SeqCst, Ordering::SeqCst).ok();
}

/// An owner of an instrument, which is a different one in each process.
pub(crate) trait HasInstrument: std::fmt::Debug + Send + Sync {
    fn instrument(&self) -> Option<Arc<Instrument>>;
}

#[derive(Debug)]
pub(crate) struct Instrument {
    pub(crate) number: u64,
    /// The process that it belongs to.
    generation: u64,
    pub(crate) source: Source,
    /// The levels that it may measure; `None` means all.
    levels: Option<BTreeSet<Level>>,
    /// The levels that workers want, as received from the broker; `None` means unknown.
    demand: RwLock<Option<WantedLevels>>,
    pub(crate) names: Registry,
    pub(crate) annotations: Annotations,
    /// Readings that were refused when they were made, and so never reached a cell.
    pub(crate) refused: Losses,
    /// Whether it is shutting down.
    closed: AtomicBool,
}

impl Instrument {
    pub(crate) fn new(source: Source, levels: Option<BTreeSet<Level>>) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            number,
            generation: generation(),
            source,
            levels,
            demand: RwLock::new(None),
            names: Registry::new(number),
            annotations: Annotations::default(),
            refused: Losses::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Whether a reading of the level would be recorded now.
    pub(crate) fn wants(&self, level: &str) -> bool {
        let allowed = self.levels.as_ref().is_none_or(|levels| levels.contains(level));
        let demand = self.demand.read().unwrap_or_else(PoisonError::into_inner);
        allowed
            && demand.as_ref().is_none_or(|demand| demand.wants(level))
            && !self.closed.load(Ordering::SeqCst)
    }

    /// Gives a notice, once, if one of the levels that may be measured looks like a misspelling of
    /// this one, which may not.
    #[cold]
    pub(crate) fn note_level(&self, level: &str) {
        let Some(levels) = self.levels.as_ref().filter(|levels| !levels.contains(level)) else {
            return;
        };
        if let Some(meant) = levels.iter().find(|other| is_misspelt(other.as_str(), level)) {
            MISSPELT.warn(|| {
                format!(
                    "nothing is measured at level `{level}`, because Builder::levels or ZIBRATO_LEVELS \
                     has the level `{meant}` in its place; is that a misspelling?"
                )
            });
        }
    }

    /// Whether it belongs to this process. If not, any lock in it may be one that nobody is left to
    /// unlock.
    pub(crate) fn is_ours(&self) -> bool {
        self.generation == generation()
    }

    /// From now on measures only what somebody wants; `None`: as if somebody wanted all.
    pub(crate) fn demand(&self, demand: Option<WantedLevels>) {
        let mut current = self.demand.write().unwrap_or_else(PoisonError::into_inner);
        if *current == demand {
            return;
        }
        let before = std::mem::replace(&mut *current, demand);
        // Dropped without the lock, because an allocator may measure when memory is freed.
        drop(current);
        drop(before);
        point::ask_again(|| {});
    }

    /// Stops measuring. Readings that were already recorded can still be collected.
    pub(crate) fn close(&self) {
        point::ask_again(|| self.closed.store(true, Ordering::SeqCst));
    }
}

/// Whether one level differs from another only in case, or by one letter that is missing, added or
/// replaced, or by two letters that are exchanged. Levels with other digits are different ones.
fn is_misspelt(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one_rest, other_rest) = (&one[same..], &other[same..]);
    let pairs = one_rest.iter().rev().zip(other_rest.iter().rev());
    let same_end = pairs.take_while(|(a, b)| a == b).count();
    let end = |rest: &[u8]| rest.len() - same_end;
    match (&one_rest[..end(one_rest)], &other_rest[..end(other_rest)]) {
        ([a], []) | ([], [a]) => !a.is_ascii_digit(),
        ([a], [b]) => !a.is_ascii_digit() && !b.is_ascii_digit(),
        ([a, b], [c, d]) => (a, b) == (d, c),
        _ => one.eq_ignore_ascii_case(other),
    }
}

#[cfg(test)]
mod tests {
    use super::is_misspelt;

    #[test]
    fn a_level_is_misspelt_by_one_letter_or_in_its_case() {
        for (one, other, expected) in [
            ("inof", "info", true),
            ("inf", "info", true),
            ("infoo", "info", true),
            ("imfo", "info", true),
            ("INFO", "info", true),
            ("wran", "warn", true),
            ("waring", "warning", true),
            ("info", "warn", false),
            ("debug", "info", false),
            ("warn", "warning", false),
            ("team1", "team2", false),
            ("team", "team2", false),
            ("é", "è", true),
            ("info", "information", false),
        ] {
            assert_eq!(is_misspelt(one, other), expected, "{one} {other}");
            assert_eq!(is_misspelt(other, one), expected, "{other} {one}");
        }
    }
}
