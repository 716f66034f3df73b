//! Checks keys against the list of allowed keys, reloads the list, and remembers revoked keys.

use super::allowed::{Allowed, AllowedError};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zibrato::curve::SecretKey;

/// Minimum time between two log lines about refusals for the same reason.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Maximum number of revoked keys that are remembered, so that the log can say why they are
/// refused.
const MAX_REVOKED: usize = 10_000;

/// The keys of a broker that encrypts: its own, and the allowed ones.
#[derive(Debug)]
pub(crate) struct KeyStore {
    key: SecretKey,
    place: PathBuf,
    /// Increases with each list that comes into force.
    revision: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    allowed: Arc<Allowed>,
    /// Number of reloads that revoked keys.
    revocations: u64,
    revoked: HashSet<String>,
    counters: KeyCounters,
    refusal_logs: [RefusalLog; 2],
}

/// The time of the last log line about refusals of one kind, and the number of refusals since then
/// that were not logged.
#[derive(Debug, Default)]
struct RefusalLog {
    last: Option<Instant>,
    suppressed: u64,
}

/// Counters of the key checks of a broker that encrypts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyCounters {
    /// Current number of allowed keys.
    pub allowed: u64,
    /// Connections whose key was allowed.
    pub admitted: u64,
    /// Connections that were refused because their key was never on the list.
    pub refused_unknown: u64,
    /// Connections that were refused because their key is no longer on the list.
    pub refused_revoked: u64,
    /// Requests to the journal that were dropped because the key of their sender was revoked.
    pub dropped_requests: u64,
    /// Successful reloads of the list.
    pub reloads: u64,
    /// Failed reloads of the list. The previous list then stays in force.
    pub failed_reloads: u64,
}

/// The differences between a new list and the previous one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// Number of keys in the new list.
    pub allowed: usize,
    /// Number of keys that were added.
    pub added: usize,
    /// Number of keys that were removed.
    pub revoked: usize,
}

/// The reason why a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Revoked,
    Unknown,
}

impl KeyStore {
    /// Reads the list for the first time.
    pub(crate) fn open(key: SecretKey, place: PathBuf) -> Result<Self, AllowedError> {
        let allowed = Arc::new(Allowed::read(&place, key.public_key())?);
        let counters = KeyCounters { allowed: allowed.len() as u64, ..KeyCounters::default() };
        let (revocations, revoked, refusal_logs) = (0, HashSet::new(), Default::default());
        let state = State { allowed, revocations, revoked, counters, refusal_logs };
        Ok(Self { key, place, revision: AtomicU64::new(0), state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is a few plain assignments, so a panic leaves valid data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The broker's own key.
    pub(crate) const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Checks the key of a new connection from `address`.
    pub(super) fn judge(&self, key: &str, address: &str) -> Result<(), Refusal> {
        let mut state = self.state();
        if state.allowed.contains(key) {
            state.counters.admitted += 1;
            tracing::debug!(event = "admitted", key, name = state.allowed.name(key), address);
            return Ok(());
        }
        let refusal = if state.revoked.contains(key) {
            state.counters.refused_revoked += 1;
            Refusal::Revoked
        } else {
            state.counters.refused_unknown += 1;
            Refusal::Unknown
        };
        let log = &mut state.refusal_logs[refusal as usize];
        log.suppressed += 1;
        if log.last.is_none_or(|last| last.elapsed() >= LOG_EVERY) {
            log.last = Some(Instant::now());
            let times = std::mem::take(&mut log.suppressed);
            drop(state);
            let why = match refusal {
                Refusal::Revoked => "the key was taken off the list of --allowed-keys",
                Refusal::Unknown => {
                    "the key is not in --allowed-keys; to allow it, add it and send HUP"
                }
            };
            tracing::warn!(event = "handshake_refused", key, address, times, why);
        }
        Err(refusal)
    }

    /// Reloads the list. If it is invalid, the previous one stays in force.
    pub(crate) fn reload(&self) -> Result<Reloaded, AllowedError> {
        let read = Allowed::read(&self.place, self.key.public_key());
        let mut state = self.state();
        let allowed = match read {
            Ok(allowed) => allowed,
            Err(error) => {
                state.counters.failed_reloads += 1;
                return Err(error);
            }
        };
        let gone: Vec<_> = state.allowed.without(&allowed).cloned().collect();
        let reloaded = Reloaded {
            allowed: allowed.len(),
            added: allowed.without(&state.allowed).count(),
            revoked: gone.len(),
        };
        state.revocations += u64::from(reloaded.revoked > 0);
        state.revoked.retain(|key| !allowed.contains(key));
        let room = MAX_REVOKED.saturating_sub(state.revoked.len());
        state.revoked.extend(gone.into_iter().take(room));
        state.allowed = Arc::new(allowed);
        state.counters.reloads += 1;
        state.counters.allowed = reloaded.allowed as u64;
        self.revision.fetch_add(1, Ordering::Release);
        Ok(reloaded)
    }

    /// A number that changes with each list that comes into force.
    pub(super) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// The current list, and the number of reloads so far that revoked keys.
    pub(super) fn allowed(&self) -> (Arc<Allowed>, u64) {
        let state = self.state();
        (Arc::clone(&state.allowed), state.revocations)
    }

    pub(super) fn count_request(&self) {
        self.state().counters.dropped_requests += 1;
    }

    /// The current counters.
    pub(crate) fn counters(&self) -> KeyCounters {
        self.state().counters
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyStore, Refusal, Reloaded};
    use zibrato::curve::{PublicKey, SecretKey};

    #[test]
    fn a_bad_list_keeps_the_one_before_in_force() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let [a, b] = [1, 2].map(|n| PublicKey::new([n; 32]).to_string());
        let write = |text: &str| std::fs::write(file.path(), text).unwrap();
        write(&a);
        let key_store =
            KeyStore::open(SecretKey::generate().unwrap(), file.path().to_owned()).unwrap();
        assert_eq!(key_store.judge(&a, "here"), Ok(()));
        assert_eq!(key_store.judge(&b, "here"), Err(Refusal::Unknown));
        write("public:nonsense");
        key_store.reload().unwrap_err();
        assert_eq!((key_store.judge(&a, "here"), key_store.allowed().1), (Ok(()), 0));
        write(&b);
        assert_eq!(key_store.reload().unwrap(), Reloaded { allowed: 1, added: 1, revoked: 1 });
        assert_eq!(
            (key_store.judge(&a, "here"), key_store.allowed().1),
            (Err(Refusal::Revoked), 1)
        );
        write(&format!("{a}\n{b}"));
        assert_eq!(key_store.reload().unwrap(), Reloaded { allowed: 2, added: 1, revoked: 0 });
        assert_eq!((key_store.judge(&a, "here"), key_store.allowed().1), (Ok(()), 1));
        let counters = key_store.counters();
        assert_eq!((counters.refused_unknown, counters.refused_revoked), (1, 1));
        assert_eq!((counters.reloads, counters.failed_reloads, counters.admitted), (2, 1, 3));
    }
}
