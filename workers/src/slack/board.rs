//! The message that digests update, and the file that keeps which one it is.

use super::replace::{folder, replace};
use crate::Payload;
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};
use zibrato::daemon::{make_folder, read_bounded};

/// Maximum size of the file.
const MAX_BYTES: u64 = 4096;

/// A message in a channel.
#[derive(Debug)]
pub(super) struct Board {
    path: PathBuf,
    /// The channel of new messages, as it was configured.
    to: String,
    /// Its channel and its timestamp there.
    place: Option<(String, String)>,
}

impl Board {
    /// The message that the file names, if there is a file, and the message was posted with the same
    /// channel in the configuration.
    pub(super) fn open(path: PathBuf, to: String) -> Self {
        let place = read_bounded(&path, MAX_BYTES).ok().and_then(|(bytes, _)| {
            let json: Value = serde_json::from_slice(&bytes).ok()?;
            let text = |key: &str| json[key].as_str().map(str::to_owned);
            let place = (text("channel")?, text("ts")?);
            (text("to")? == to).then_some(place)
        });
        Self { path, to, place }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The request that changes the message to this one; `None` if there is no message yet.
    pub(super) fn update(&self, payload: &Payload) -> Option<Payload> {
        let (channel, ts) = self.place.as_ref()?;
        let mut body: Value = serde_json::from_slice(&payload.body).ok()?;
        (body["channel"], body["ts"]) = (json!(channel), json!(ts));
        Some(Payload { body: body.to_string().into_bytes(), ..payload.clone() })
    }

    /// The message is at another place, or is gone.
    pub(super) fn moves(&mut self, place: Option<(String, String)>) {
        if place == self.place {
            return;
        }
        self.place = place;
        if let Err(why) = self.save() {
            let (file, what) = (self.path.display(), "a restart posts a new message");
            tracing::warn!(event = "digest_update", %file, %why, what);
        }
    }

    fn save(&self) -> io::Result<()> {
        let Some((channel, ts)) = &self.place else { return Ok(()) };
        make_folder(folder(&self.path))?;
        let content = json!({"channel": channel, "ts": ts, "to": self.to}).to_string();
        replace(&self.path, content.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::Board;
    use crate::Payload;
    use serde_json::{Value, json};

    #[test]
    fn a_restart_finds_the_message_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/digest.json");
        let open = |to: &str| Board::open(path.clone(), to.to_owned());
        let mut board = open("#metrics");
        let payload = Payload::new(br##"{"channel":"#metrics","text":"t"}"##.to_vec(), 1);
        assert_eq!(board.update(&payload), None);
        board.moves(Some(("C1".to_owned(), "1.2".to_owned())));
        let update = open("#metrics").update(&payload).unwrap();
        let body: Value = serde_json::from_slice(&update.body).unwrap();
        assert_eq!(body, json!({"channel": "C1", "ts": "1.2", "text": "t"}));
        // Another channel has a message of its own.
        assert_eq!(open("#other").update(&payload), None);
        std::fs::write(&path, "{").unwrap();
        assert_eq!(open("#metrics").update(&payload), None);
    }
}
