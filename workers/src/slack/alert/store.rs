//! Keeps the state of alerts in a file, which one worker uses at a time.
//!
//! The whole state is written once per window. What becomes of a message after that is a line in a
//! file beside it, until the state is written again.

use super::fate::{Fate, Note};
use super::rules::Rules;
use super::state::State;
use crate::hash::fnv1a;
use crate::slack::replace::{folder, replace, with_ending};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zibrato::daemon::{make_folder, read_bounded};

/// Maximum size of the file.
const MAX_BYTES: u64 = 256 << 20;

/// The file.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    /// The lock, while this process has it.
    lock: Option<File>,
    /// The content when it was read without the lock.
    content: Option<Vec<u8>>,
    /// The file of notes, and the hash of the state as it was saved.
    notes: Option<(File, u64)>,
}

impl Store {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, lock: None, content: None, notes: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The state in the file; an empty one if there is no file, or one that cannot be read, which is
    /// kept with the ending `.damaged`.
    pub(super) fn load(&mut self) -> State {
        let file = self.path.display();
        match read_bounded(&self.path, MAX_BYTES) {
            Ok((content, _)) => match State::from_json(&content) {
                Ok(mut state) => {
                    let lines = read_bounded(&self.notes_path(), MAX_BYTES);
                    // There is none, or it is lost: then messages may be repeated.
                    let lines = lines.map(|(lines, _)| lines).unwrap_or_default();
                    for Note { message, fate, .. } in Note::read(&lines, fnv1a(&content)) {
                        state.becomes(message, &fate);
                    }
                    self.content = Some(content);
                    return state;
                }
                Err(why) => {
                    let aside = with_ending(&self.path, ".damaged");
                    let what = match std::fs::rename(&self.path, &aside) {
                        Ok(()) => "it was renamed to .damaged; alerts that fire are posted again",
                        Err(_) => "alerts that fire are posted again",
                    };
                    tracing::error!(event = "alert_state_lost", %file, why, what);
                }
            },
            Err(why) if why.kind() == ErrorKind::NotFound => {}
            Err(why) => tracing::error!(event = "alert_state_lost", %file, %why),
        }
        State::default()
    }

    /// Replaces the file atomically, and begins to take notes.
    pub(super) fn save(&mut self, state: &mut State, rules: &Rules) -> io::Result<()> {
        self.lock()?;
        self.notes = None;
        state.number();
        let content = state.to_json(rules);
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let notes = options.open(self.notes_path())?;
        replace(&self.path, &content)?;
        // Those until now are of another state.
        notes.set_len(0)?;
        self.notes = Some((notes, fnv1a(&content)));
        Ok(())
    }

    /// Writes what became of a message since the state was saved. After an error, nothing more can be
    /// noted until it is saved again.
    pub(super) fn note(&mut self, message: usize, fate: Fate) -> io::Result<()> {
        let Some((mut file, of)) = self.notes.take() else {
            return Err(io::Error::other("the state was not saved yet"));
        };
        file.write_all(&Note { of, message, fate }.line())?;
        file.sync_data()?;
        self.notes = Some((file, of));
        Ok(())
    }

    fn notes_path(&self) -> PathBuf {
        with_ending(&self.path, ".messages")
    }

    /// Whether this process has the lock.
    pub(super) const fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    /// Takes the lock, unless this process has it.
    pub(super) fn lock(&mut self) -> io::Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        make_folder(folder(&self.path))?;
        let mut options = OpenOptions::new();
        let path = with_ending(&self.path, ".lock");
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other(format!(
                    "another worker uses {}; stop it, or give each its own --alert-state",
                    self.path.display()
                )));
            }
            Err(TryLockError::Error(why)) => return Err(why),
        }
        if let Some(content) = self.content.take() {
            let now = read_bounded(&self.path, MAX_BYTES).map(|(content, _)| content);
            if now.ok().as_ref() != Some(&content) {
                self.content = Some(content);
                return Err(io::Error::other(format!(
                    "another worker has changed {}; start this one again",
                    self.path.display()
                )));
            }
        }
        self.lock = Some(file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{State, Store};
    use crate::slack::alert::file::parse;

    #[test]
    fn a_state_is_read_as_it_was_written_and_used_by_one_worker() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/alerts.json");
        let rules = parse("[[rule]]\nname = 'r'\nmetric = '*'\nabove = 1\n").unwrap();
        let mut store = Store::new(path.clone());
        assert_eq!(store.load(), State::default());
        let mut state = State { through_ms: 7, next: 3, ..State::default() };
        store.save(&mut state, &rules).unwrap();
        let mut second = Store::new(path.clone());
        assert_eq!(second.load(), state);
        let why = second.save(&mut state, &rules).unwrap_err().to_string();
        assert!(why.contains("another worker uses"), "{why}");
        store.save(&mut State { next: 4, ..state.clone() }, &rules).unwrap();
        drop(store);
        for _ in 0..2 {
            let why = second.save(&mut state, &rules).unwrap_err().to_string();
            assert!(why.contains("has changed"), "{why}");
        }
        let mut third = Store::new(path.clone());
        assert_eq!(third.load().next, 4);
        third.save(&mut state, &rules).unwrap();
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Store::new(path.clone()).load(), State::default());
        let kept = folder.path().join("deep/alerts.json.damaged");
        assert_eq!(std::fs::read(kept).unwrap(), b"{");
        assert!(!path.exists());
    }
}
