//! What a relay remembers: how far it has read, and which messages it has delivered but not deleted.
//!
//! The file is replaced as a whole and written to disk before a message that was delivered is deleted in
//! Slack, so that a crash at any point neither loses nor doubles a message. A lock beside it keeps a
//! second relay with the same folder away.

use super::ts::Ts;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zibrato::Level;
use zibrato::daemon::{Exit, Failure, make_folder, read_bounded};
use zibrato::wire::{BatchId, PublisherId};

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
    /// The identity with which the relay publishes at a broker.
    publisher: PublisherId,
    /// The sequence of the last batch that was begun there.
    sequence: u64,
    /// The batch with this sequence, until the broker has acknowledged it.
    pending: Option<Pending>,
}

/// A batch that may have arrived at a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) level: Level,
    /// Its last message. The first one is the one after the cursor.
    pub(super) last: Ts,
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
            publisher: PublisherId::random(),
            sequence: 0,
            pending: None,
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
        let broker = &value["broker"];
        if broker.is_null() {
            return Ok(());
        }
        let wrong = || format!("the part about a broker is damaged; {remedy}");
        self.publisher = broker["publisher"].as_str().and_then(publisher).ok_or_else(wrong)?;
        self.sequence = broker["sequence"].as_u64().ok_or_else(wrong)?;
        let pending = &broker["pending"];
        if !pending.is_null() {
            let level = pending["level"].as_str().and_then(|level| level.parse().ok());
            let level = level.ok_or_else(wrong)?;
            self.pending = Some(Pending { level, last: ts(&pending["last"])? });
        }
        Ok(())
    }

    /// The batch that may have arrived at a broker.
    pub(super) const fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    /// Begins a batch up to this message, and returns its id and level: those of the batch that is
    /// pending, if there is one. The state must be saved before the batch is sent.
    pub(super) fn begin(&mut self, level: &Level, last: &Ts) -> (BatchId, Level) {
        let pending = self.pending.get_or_insert_with(|| {
            self.sequence += 1;
            Pending { level: level.clone(), last: last.clone() }
        });
        (BatchId { publisher: self.publisher, sequence: self.sequence }, pending.level.clone())
    }

    /// The broker has the batch, or its messages are gone. Its sequence is not used again.
    pub(super) fn end(&mut self) {
        self.pending = None;
    }

    /// Writes the state to disk. Afterwards it is there even if the power fails.
    pub(super) fn save(&self) -> io::Result<()> {
        let sent: Vec<_> = self.sent.iter().map(Ts::as_str).collect();
        let cursor = self.cursor.as_ref().map(Ts::as_str);
        let mut state =
            json!({"version": VERSION, "channel": self.channel, "cursor": cursor, "sent": sent});
        if self.sequence > 0 {
            let pending = self.pending.as_ref();
            let pending = pending.map(
                |Pending { level, last }| json!({"level": level.as_str(), "last": last.as_str()}),
            );
            let publisher = self.publisher.to_string();
            state["broker"] =
                json!({"publisher": publisher, "sequence": self.sequence, "pending": pending});
        }
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

/// The identity of a publisher, from its hex digits.
fn publisher(text: &str) -> Option<PublisherId> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = u128::from_str_radix(text, 16).ok().filter(|_| is_hex)?;
    Some(PublisherId(id.to_be_bytes()))
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
    fn a_batch_that_was_begun_keeps_its_id_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let open = || State::open(folder.path(), "C1").unwrap();
        let [info, warn] = ["info", "warn"].map(|level| level.parse().unwrap());
        let [five, six] = ["5.000001", "6.000001"].map(|ts| ts.parse().unwrap());
        let mut state = open();
        let (first, _) = state.begin(&info, &five);
        state.save().unwrap();
        drop(state);
        let mut state = open();
        assert_eq!(state.pending().unwrap().last, five);
        assert_eq!(state.begin(&warn, &six), (first, info));
        state.end();
        let (second, level) = state.begin(&warn, &six);
        assert_eq!((second.publisher, second.sequence, level), (first.publisher, 2, warn));
        state.end();
        state.save().unwrap();
        drop(state);
        assert_eq!(open().pending(), None);
        let text = std::fs::read_to_string(folder.path().join("relay-C1.json")).unwrap();
        for (good, bad) in
            [("\"sequence\":2", "\"sequence\":-2"), ("\"publisher\":\"", "\"publisher\":\"x")]
        {
            std::fs::write(folder.path().join("relay-C1.json"), text.replace(good, bad)).unwrap();
            let why = State::open(folder.path(), "C1").unwrap_err().message;
            assert!(why.contains("about a broker is damaged"), "{why}");
        }
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
