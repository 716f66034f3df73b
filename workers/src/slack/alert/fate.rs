//! What became of a message, as a line that is appended to a file.
//!
//! Pure.

use serde::{Deserialize, Serialize};

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    /// It is being sent. Unless something else is known later, Slack may have accepted it.
    Tried,
    /// It was certainly not posted.
    NotPosted,
    /// It was accepted, or will never be.
    Over {
        /// Its channel and its timestamp there, if Slack has told them.
        place: Option<(String, String)>,
    },
}

/// A line about a message of a state that was saved before.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The hash of the state as it was saved. Notes about another one are ignored.
    pub(super) of: u64,
    /// The message's place in the outbox of that state.
    pub(super) message: usize,
    pub(super) fate: Fate,
}

impl Note {
    pub(super) fn line(&self) -> Vec<u8> {
        // It has no keys but texts, so this does not fail.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// The notes about a state. The last line may be cut.
    pub(super) fn read(lines: &[u8], of: u64) -> Vec<Self> {
        let notes = lines.split(|byte| *byte == b'\n');
        let notes = notes.map_while(|line| serde_json::from_slice::<Self>(line).ok());
        notes.filter(|note| note.of == of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, Note};

    #[test]
    fn notes_are_read_until_one_is_cut() {
        let place = Some(("C1".to_owned(), "1.2".to_owned()));
        let fates =
            [Fate::Tried, Fate::NotPosted, Fate::Over { place: None }, Fate::Over { place }];
        let note = |(message, fate): (usize, &Fate)| Note { of: 7, message, fate: fate.clone() };
        let notes: Vec<_> = fates.iter().enumerate().map(note).collect();
        let mut lines: Vec<u8> = notes.iter().flat_map(Note::line).collect();
        assert_eq!(Note::read(&lines, 7), notes);
        assert!(Note::read(&lines, 8).is_empty());
        lines.truncate(lines.len() - 9);
        assert_eq!(Note::read(&lines, 7), notes[..3]);
        assert!(Note::read(b"", 7).is_empty());
    }
}
