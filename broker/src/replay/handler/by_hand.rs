//! Commands of operators: list, reset and delete cursors.

use super::{FetchHandler, Now, Outcome};
use crate::journal::{Cursor, Flow, Reader, level_names};
use crate::replay::refusal::{refusal, unknown};
use std::io;
use zibrato::wire::{CursorState, Done, Refusal, Refused, ReplayAnswer, Reset, ResetTo};

impl FetchHandler {
    /// All cursors.
    pub(crate) fn list(&self, now: Now) -> Vec<CursorState> {
        let end = self.log.end();
        let state = |(name, cursor): (&str, &Cursor)| {
            let oldest = self.log.received_after(cursor.offset);
            CursorState {
                name: name.to_owned(),
                levels: level_names(&cursor.levels).map(str::to_owned).collect(),
                offset: cursor.offset,
                behind: end.saturating_sub(cursor.offset),
                lag_ms: oldest.map_or(0, |oldest| now.ms.saturating_sub(oldest)),
                heard_ms: cursor.heard_ms,
                gone: cursor.gone + self.gone.pending(name),
                reader: self.owners.of(name, now.at).unwrap_or_default(),
            }
        };
        self.cursors.iter().map(state).collect()
    }

    pub(super) fn reset(&mut self, reset: &Reset, now: Now) -> Result<Outcome, Refused> {
        let Reset { name, to } = reset;
        self.free(name, now)?;
        let end = self.log.end();
        let offset = match *to {
            ResetTo::End => end,
            ResetTo::Offset(offset) if offset <= end => offset,
            ResetTo::Offset(offset) => {
                let text = format!("there is no offset {offset} yet; the last one is {end}");
                return Err(refusal(Refusal::Malformed, &text));
            }
            ResetTo::Time(ms) => self.before(ms).map_err(|error| self.cannot_read(&error))?,
        };
        tracing::info!(event = "cursor_reset", cursor = %name, offset);
        self.places.remove(name);
        let gone = self.gone.pending(name);
        self.gone.forget(name);
        self.cursors.change(name, |cursor| {
            cursor.offset = offset;
            cursor.gone = cursor.gone.saturating_add(gone);
        });
        self.cursors_changed(now);
        Ok(Outcome::WhenSaved(ReplayAnswer::Done(Done { offset })))
    }

    pub(super) fn delete(&mut self, name: &str, now: Now) -> Result<Outcome, Refused> {
        self.free(name, now)?;
        self.places.remove(name);
        self.silent_since.remove(name);
        self.gone.forget(name);
        let offset = self.cursors.remove(name).map_or(0, |cursor| cursor.offset);
        tracing::info!(event = "cursor_deleted", cursor = %name, offset);
        self.cursors_changed(now);
        Ok(Outcome::WhenSaved(ReplayAnswer::Done(Done { offset })))
    }

    /// Returns an error if there is no such cursor, or a reader uses it.
    fn free(&self, name: &str, now: Now) -> Result<(), Refused> {
        if self.cursors.get(name).is_none() {
            return Err(unknown(name));
        }
        let Some(owner) = self.owners.of(name, now.at) else { return Ok(()) };
        let text = format!("{owner} reads under the name {name}; stop it first");
        Err(refusal(Refusal::Owned, &text))
    }

    /// The offset before the first batch that was received at or after this time.
    fn before(&self, ms: u64) -> io::Result<u64> {
        let outline = self.log.outline();
        let after = outline.segments.partition_point(|segment| segment.first_ms < ms);
        let segment = outline.segments.get(after.saturating_sub(1));
        let mut before = segment.map_or(outline.end, |segment| segment.first - 1);
        let mut found = false;
        Reader::after(before).read(&self.log, |batch| {
            found = batch.stamp.received_ms >= ms;
            if found {
                return Flow::Stop;
            }
            before = batch.stamp.offset;
            Flow::On
        })?;
        Ok(if found { before } else { outline.end })
    }
}
