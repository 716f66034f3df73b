//! What a relay remembers: how far it has read, and which messages it has delivered but not deleted.
//!
//! The file is replaced as a whole and written to disk before anything is deleted in Slack, so that a
//! crash at any point neither loses nor doubles a message. A lock beside it keeps a second relay of
//! this machine away.

use super::ts::Ts;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zibrato::daemon::{Exit, Failure, make_folder, read_bounded};

const VERSION: u64 = 1;

/// The longest file that is read: that of many times as many messages as are remembered.
const MAX_BYTES: u64 = 16 << 20;

/// The state of the relay of one channel.
#[derive(Debug)]
pub(super) struct State {
    file: PathBuf,
    /// Held as long as the relay runs.
    _lock: File,
    channel: String,
    /// Every message up to this one is settled: delivered, or left alone.
    pub(super) cursor: Option<Ts>,
    /// Messages that were delivered and are to be deleted.
    pub(super) sent: BTreeSet<Ts>,
}

impl State {
    /// Reads the state of a channel from a folder, or begins a new one.
    ///
    /// # Errors
    /// If another relay uses it, or the file or folder cannot be used.
    pub(super) fn open(folder: &Path, channel: &str) -> Result<Self, Failure> {
        let wrong = |path: &Path, why: String| {
            Failure::new(Exit::Io, format!("--state {}: {why}", path.display()))
        };
        make_folder(folder).map_err(|why| wrong(folder, why.to_string()))?;
        let path = folder.join(format!("relay-{channel}.lock"));
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(&path).map_err(|why| wrong(&path, why.to_string()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let why = format!(
                    "another relay of the channel {channel} runs with this folder; stop one"
                );
                return Err(Failure::new(
                    Exit::Unavailable,
                    format!("--state {}: {why}", folder.display()),
                ));
            }
            Err(TryLockError::Error(why)) => return Err(wrong(&path, why.to_string())),
        }
        let file = folder.join(format!("relay-{channel}.json"));
        let mut state = Self {
            _lock: lock,
            channel: channel.to_owned(),
            cursor: None,
            sent: BTreeSet::new(),
            file,
        };
        match read_bounded(&state.file, MAX_BYTES) {
            Ok((bytes, _)) => state.read(&bytes).map_err(|why| wrong(&state.file, why))?,
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => return Err(wrong(&state.file, why.to_string())),
        }
        // A folder that cannot be written is found out before anything is delivered.
        state.save().map_err(|why| wrong(&state.file, why.to_string()))?;
        Ok(state)
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        let remedy = "restore it, or remove it to read the whole channel again";
        let value: Value =
            serde_json::from_slice(bytes).map_err(|why| format!("{why}; {remedy}"))?;
        if value["version"] != VERSION || value["channel"] != *self.channel {
            return Err(format!("it is not the state of a relay of {}; {remedy}", self.channel));
        }
        let ts = |value: &Value| -> Result<Ts, String> {
            let text = value.as_str().ok_or_else(|| format!("a ts is no text; {remedy}"))?;
            text.parse().map_err(|why| format!("{why}; {remedy}"))
        };
        let cursor = &value["cursor"];
        self.cursor = if cursor.is_null() { None } else { Some(ts(cursor)?) };
        let sent = value["sent"].as_array().map(Vec::as_slice).unwrap_or_default();
        self.sent = sent.iter().map(ts).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Writes the state to disk. Afterwards it is there even if the power fails.
    pub(super) fn save(&self) -> io::Result<()> {
        let sent: Vec<_> = self.sent.iter().map(Ts::as_str).collect();
        let cursor = self.cursor.as_ref().map(Ts::as_str);
        let state =
            json!({"version": VERSION, "channel": self.channel, "cursor": cursor, "sent": sent});
        let new = self.file.with_extension("new");
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(state.to_string().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, &self.file)?;
        match self.file.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn it_is_read_back_and_has_one_owner() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("new");
        let mut state = State::open(&at, "C1").unwrap();
        assert_eq!((state.cursor.clone(), state.sent.len()), (None, 0));
        state.cursor = Some("5.000001".parse().unwrap());
        state.sent.insert("4.5".parse().unwrap());
        state.save().unwrap();
        let second = State::open(&at, "C1").unwrap_err().message;
        assert!(second.contains("another relay of the channel C1"), "{second}");
        State::open(&at, "C2").unwrap();
        drop(state);
        let state = State::open(&at, "C1").unwrap();
        assert_eq!(state.cursor.unwrap().as_str(), "5.000001");
        assert_eq!(state.sent.first().unwrap().as_str(), "4.5");
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_a_new_beginning() {
        let folder = tempfile::tempdir().unwrap();
        for text in [
            "",
            "{",
            "[]",
            r#"{"version":2,"channel":"C1"}"#,
            r#"{"version":1,"channel":"C1","cursor":"x"}"#,
        ] {
            std::fs::write(folder.path().join("relay-C1.json"), text).unwrap();
            let why = State::open(folder.path(), "C1").unwrap_err().message;
            assert!(why.contains("relay-C1.json: "), "{why}");
        }
    }
}
