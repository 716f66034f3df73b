//! The rules file of a broker, and its current rules, which a reload replaces.

use super::{Rules, RulesError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zibrato::daemon::read_bounded;

/// Maximum size of a rules file, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Maximum size of a script, in bytes. The time to compile one may grow with the square of its size.
const MAX_SCRIPT_BYTES: u64 = 1 << 16;

/// A rules file, and the rules in force.
#[derive(Debug)]
pub(crate) struct RulesStore {
    path: PathBuf,
    /// Number of reloads that have replaced the rules.
    revision: AtomicU64,
    failed_reloads: AtomicU64,
    rules: Mutex<Arc<Rules>>,
}

impl RulesStore {
    /// Reads a rules file and its script.
    pub(crate) fn open(path: &Path) -> Result<Self, RulesError> {
        let rules = Mutex::new(Arc::new(read(path)?));
        let (revision, failed_reloads) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { path: path.to_owned(), revision, failed_reloads, rules })
    }

    /// Reads the file again. If it has an error, the rules stay as they are. Returns the number of
    /// rules.
    pub(crate) fn reload(&self) -> Result<usize, RulesError> {
        let rules = read(&self.path).inspect_err(|_| {
            self.failed_reloads.fetch_add(1, Ordering::Relaxed);
        })?;
        let number = rules.list().len();
        *self.lock() = Arc::new(rules);
        self.revision.fetch_add(1, Ordering::Release);
        Ok(number)
    }

    /// Number of reloads that succeeded, and that failed.
    pub(crate) fn reloads(&self) -> [u64; 2] {
        [&self.revision, &self.failed_reloads].map(|count| count.load(Ordering::Relaxed))
    }

    /// The rules in force.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Rules>> {
        // Each change is an assignment, so a panic leaves valid data.
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rules for one thread, which looks for new ones without a lock.
#[derive(Debug, Clone, Default)]
pub(crate) struct RulesReader {
    store: Option<Arc<RulesStore>>,
    revision: u64,
    rules: Option<Arc<Rules>>,
}

impl RulesReader {
    /// Reads the rules of this store; of `None`, there are none.
    pub(crate) fn new(store: Option<Arc<RulesStore>>) -> Self {
        let revision = store.as_ref().map_or(0, |store| store.revision.load(Ordering::Acquire));
        let rules = store.as_ref().map(|store| store.rules());
        Self { store, revision, rules }
    }

    /// The rules in force, if there are any.
    pub(crate) fn current(&mut self) -> Option<Arc<Rules>> {
        let store = self.store.as_ref()?;
        let revision = store.revision.load(Ordering::Acquire);
        if revision != self.revision {
            self.revision = revision;
            self.rules = Some(store.rules());
        }
        self.rules.clone()
    }
}

fn read(path: &Path) -> Result<Rules, RulesError> {
    let text = text(path, MAX_BYTES)
        .map_err(|source| RulesError::Read { path: path.to_owned(), source })?;
    Rules::parse(path, &text, |script| self::text(script, MAX_SCRIPT_BYTES))
}

fn text(path: &Path, most: u64) -> io::Result<String> {
    let (bytes, _) = read_bounded(path, most)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::{MAX_SCRIPT_BYTES, RulesReader, RulesStore};
    use std::fs::write;
    use std::sync::Arc;

    #[test]
    fn a_reload_replaces_the_rules_and_a_bad_file_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r.toml");
        let error = RulesStore::open(&file).unwrap_err().to_string();
        assert!(error.starts_with(&file.display().to_string()), "{error}");
        let rule = "[[rule]]\nmatch = {}\nkeep = true\n";
        write(&file, rule).unwrap();
        let store = Arc::new(RulesStore::open(&file).unwrap());
        let mut reader = RulesReader::new(Some(Arc::clone(&store)));
        let mut number = || reader.current().unwrap().list().len();
        assert_eq!(number(), 1);
        write(&file, format!("{rule}{rule}")).unwrap();
        assert_eq!(number(), 1);
        assert_eq!(store.reload().unwrap(), 2);
        assert_eq!(number(), 2);
        for bad in [&b"[[rule]]\n"[..], b"\xff"] {
            write(&file, bad).unwrap();
            store.reload().unwrap_err();
            assert_eq!(number(), 2);
        }
        assert_eq!(store.reloads(), [1, 2]);
        assert!(RulesReader::default().current().is_none());
    }

    #[test]
    fn a_script_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r.toml");
        write(&file, "script = \"s.rhai\"\n").unwrap();
        let most = usize::try_from(MAX_SCRIPT_BYTES).unwrap();
        for (size, is_read) in [(most, true), (most + 1, false)] {
            let script = "fn process(host, name, value, time) { }";
            let end = " ".repeat(size - script.len());
            write(folder.path().join("s.rhai"), script.to_owned() + &end).unwrap();
            assert_eq!(RulesStore::open(&file).is_ok(), is_read, "{size}");
        }
    }
}
