//! What becomes of each request: it is answered at once, when something was written, or later.

use super::fetch::{Haul, haul};
use super::gone::Gone;
use super::owners::Owners;
use super::refusal::{owned, refusal, unknown};
use crate::journal::{Cursor, Cursors, Flow, Log, Reader, level_names, levels};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::wire::{
    Commit, CursorState, Done, Fetch, MAX_CURSOR_LEVELS, Position, Reader as Who, Refusal, Refused,
    ReplayAnswer, ReplayRequest, Reset, ResetTo, WantedLevels,
};

/// A request is not kept waiting longer than this.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// The most bytes of the text that tells one process from another.
const MAX_SESSION_BYTES: usize = 128;

/// How often it is written down who was heard of, if nothing else has changed.
const KEEP_HEARD: Duration = Duration::from_secs(60);

/// Keeps the cursors, and knows who reads.
#[derive(Debug)]
pub(crate) struct Desk {
    log: Arc<Log>,
    cursors: Cursors,
    owners: Owners,
    /// Where those who read stopped, by name.
    places: HashMap<String, (u64, Reader)>,
    keep_levels: WantedLevels,
    kept: WantedLevels,
    max_age_ms: u64,
    /// What of the batches that are gone has been counted.
    gone: Gone,
    /// Since when the readers were silent, by a clock that nobody sets.
    silent_since: HashMap<String, Instant>,
    heard_kept: Instant,
}

/// What becomes of a request.
pub(crate) enum Outcome {
    /// This answer, now.
    Answer(ReplayAnswer),
    /// This answer, when the cursors are safe on disk.
    WhenSaved(ReplayAnswer),
    /// These batches, now.
    Batches(Haul),
    /// Nothing yet: it is to be tried again when there is more, or then.
    Wait(Instant),
}

/// When it is: for leases, and for people.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) at: Instant,
    /// In unix milliseconds.
    pub(crate) ms: u64,
}

impl Desk {
    /// Cursors that are not heard of for `max_age_ms` are forgotten; `keep_levels` are wanted even
    /// without any.
    pub(crate) fn new(
        log: Arc<Log>,
        cursors: Cursors,
        (keep_levels, max_age_ms): (WantedLevels, u64),
        now: Now,
    ) -> Self {
        let mut desk = Self {
            log,
            cursors,
            owners: Owners::default(),
            places: HashMap::new(),
            keep_levels,
            kept: WantedLevels::default(),
            max_age_ms,
            gone: Gone::default(),
            silent_since: HashMap::new(),
            heard_kept: now.at,
        };
        if desk.cursors.damaged() > 0 {
            tracing::warn!(
                event = "cursors_damaged",
                lines = desk.cursors.damaged(),
                "their last known places are used; windows delivered since then come again"
            );
        }
        // A broker that was away for long is no reason to forget those who wait for it.
        for name in desk.names() {
            desk.cursors.heard(&name, now.ms);
            desk.silent_since.insert(name, now.at);
        }
        desk.cursors_changed();
        desk
    }

    fn names(&self) -> Vec<String> {
        self.cursors.iter().map(|(name, _)| name.to_owned()).collect()
    }

    /// The journal it reads.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Takes a request that came from `address`.
    pub(crate) fn take(&mut self, request: &ReplayRequest, address: &str, now: Now) -> Outcome {
        let taken = match request {
            ReplayRequest::Fetch(fetch) => self.fetch(fetch, address, now),
            ReplayRequest::Commit(commit) => self.commit(commit, address, now),
            ReplayRequest::Release(who) => {
                self.owners.release(who);
                self.places.remove(&who.name);
                Ok(Outcome::Answer(ReplayAnswer::Released))
            }
            ReplayRequest::Cursors => Ok(Outcome::Answer(ReplayAnswer::Cursors(self.list(now)))),
            ReplayRequest::Reset(reset) => self.reset(reset, now),
            ReplayRequest::Delete(named) => self.delete(&named.name, now),
            // Later versions may ask for more.
            #[expect(unreachable_patterns, reason = "requests may become more")]
            _ => Err(refusal(Refusal::Malformed, "this broker does not know the request")),
        };
        taken.unwrap_or_else(|refused| Outcome::Answer(ReplayAnswer::Refused(refused)))
    }

    fn fetch(&mut self, fetch: &Fetch, address: &str, now: Now) -> Result<Outcome, Refused> {
        self.admit(&fetch.reader, (&fetch.about, address), now)?;
        let name = &fetch.reader.name;
        let names = fetch.levels.iter().map(String::as_str);
        let levels = levels(names).filter(|_| fetch.levels.len() <= MAX_CURSOR_LEVELS);
        let levels = levels.ok_or_else(|| {
            refusal(Refusal::Malformed, "name between one and 1,000 levels, or `*` for every level")
        })?;
        let known = self.known(fetch.after);
        // A reader of a journal that is no more has read nothing of this one.
        let is_anew = fetch.after.is_some_and(|after| after.journal != self.log.id());
        let begin = known.or(is_anew.then_some(0));
        self.register(name, &levels, begin, now)?;
        let after = known.or_else(|| Some(self.cursors.get(name)?.offset)).unwrap_or_default();
        let mut reader = match self.places.remove(name) {
            Some((place, reader)) if place == after => reader,
            _ => Reader::after(after),
        };
        let hauled = haul(&self.log, &mut reader, &levels, fetch.max_bytes);
        let hauled = hauled.map_err(|error| self.unreadable(&error))?;
        // There may be a thousand places.
        reader.rest();
        let gone = self.gone.news(name, after, hauled.head.gone);
        if gone > 0 {
            self.cursors.change(name, |cursor| cursor.gone += gone);
            tracing::warn!(
                event = "batches_gone",
                cursor = %name,
                batches = gone,
                "they were deleted because of their age or number, or damaged, before they were read"
            );
        }
        let wait = Duration::from_millis(fetch.wait_ms).min(MAX_WAIT);
        if hauled.is_empty() && !wait.is_zero() {
            let until = now.at + wait;
            self.owners.extend(name, until);
            self.places.insert(name.clone(), (after, reader));
            return Ok(Outcome::Wait(until));
        }
        self.places.insert(name.clone(), (hauled.head.next.offset, reader));
        Ok(Outcome::Batches(hauled))
    }

    /// Lets a reader in that has its name to itself.
    fn admit(&mut self, who: &Who, about: (&str, &str), now: Now) -> Result<(), Refused> {
        let Who { name, session } = who;
        if let Err(problem) = zibrato::check_name(name) {
            let text = format!("the name {name:?} cannot be that of a cursor: {problem}");
            return Err(refusal(Refusal::Malformed, &text));
        }
        if session.is_empty() || session.len() > MAX_SESSION_BYTES {
            let text = "the session is to be a text of 1 to 128 bytes that no other process has";
            return Err(refusal(Refusal::Malformed, text));
        }
        if self.cursors.get(name).is_some() {
            self.cursors.heard(name, now.ms);
            self.silent_since.insert(name.clone(), now.at);
        }
        self.owners.claim(who, about, now.at).map_err(|owner| owned(name, &owner))
    }

    /// The offset of a place in this journal.
    fn known(&self, place: Option<Position>) -> Option<u64> {
        let place = place.filter(|place| place.journal == self.log.id())?;
        (place.offset <= self.log.end()).then_some(place.offset)
    }

    /// Sees to it that there is a cursor, and that its levels are kept.
    fn register(
        &mut self,
        name: &str,
        levels: &WantedLevels,
        after: Option<u64>,
        now: Now,
    ) -> Result<(), Refused> {
        match self.cursors.get(name) {
            Some(cursor) if cursor.levels == *levels => return Ok(()),
            Some(_) => self.cursors.change(name, |cursor| cursor.levels.clone_from(levels)),
            None if !self.cursors.has_room() => {
                let text = "the broker keeps 1,000 cursors already; delete those that are not used \
                            any more with `zibrato-broker cursors delete`";
                return Err(refusal(Refusal::TooMany, text));
            }
            None => {
                let offset = after.unwrap_or_else(|| self.log.end());
                let levels = levels.clone();
                let new = Cursor { offset, heard_ms: now.ms, gone: 0, levels };
                tracing::info!(event = "cursor_begun", cursor = %name, offset);
                self.cursors.change(name, |cursor| *cursor = new);
                self.silent_since.insert(name.to_owned(), now.at);
            }
        }
        self.save()?;
        self.cursors_changed();
        Ok(())
    }

    fn commit(&mut self, commit: &Commit, address: &str, now: Now) -> Result<Outcome, Refused> {
        let Commit { reader, at } = commit;
        self.admit(reader, ("", address), now)?;
        if self.known(Some(*at)).is_none() {
            let text = format!("the journal has no offset {} under this number", at.offset);
            return Err(refusal(Refusal::Malformed, &text));
        }
        if self.cursors.get(&reader.name).is_none() {
            return Err(unknown(&reader.name));
        }
        self.cursors.change(&reader.name, |cursor| cursor.offset = cursor.offset.max(at.offset));
        let offset = self.cursors.get(&reader.name).map_or(at.offset, |cursor| cursor.offset);
        self.log.set_passed(self.cursors.passed());
        let at = Position { journal: self.log.id(), offset };
        Ok(Outcome::WhenSaved(ReplayAnswer::Committed(at)))
    }

    fn reset(&mut self, reset: &Reset, now: Now) -> Result<Outcome, Refused> {
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
            ResetTo::Time(ms) => self.before(ms).map_err(|error| self.unreadable(&error))?,
        };
        tracing::info!(event = "cursor_reset", cursor = %name, offset);
        self.places.remove(name);
        self.gone.forget(name);
        self.cursors.change(name, |cursor| cursor.offset = offset);
        self.cursors_changed();
        Ok(Outcome::WhenSaved(ReplayAnswer::Done(Done { offset })))
    }

    fn delete(&mut self, name: &str, now: Now) -> Result<Outcome, Refused> {
        self.free(name, now)?;
        self.places.remove(name);
        self.silent_since.remove(name);
        self.gone.forget(name);
        let offset = self.cursors.remove(name).map_or(0, |cursor| cursor.offset);
        tracing::info!(event = "cursor_deleted", cursor = %name, offset);
        self.cursors_changed();
        Ok(Outcome::WhenSaved(ReplayAnswer::Done(Done { offset })))
    }

    /// Whether there is such a cursor, and nobody reads with it.
    fn free(&self, name: &str, now: Now) -> Result<(), Refused> {
        if self.cursors.get(name).is_none() {
            return Err(unknown(name));
        }
        let Some(owner) = self.owners.of(name, now.at) else { return Ok(()) };
        let text = format!("{owner} reads under the name {name}; stop it first");
        Err(Refused { why: Refusal::Owned, text })
    }

    /// The offset before the first batch that was received then or later.
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

    /// Makes what has changed safe.
    pub(crate) fn save(&mut self) -> Result<(), Refused> {
        self.cursors.save().map_err(|error| {
            tracing::error!(event = "cursors_not_saved", %error);
            refusal(Refusal::Disk, &format!("the broker cannot write its cursors: {error}"))
        })
    }

    /// Forgets those who are gone, and writes down who is not.
    pub(crate) fn look_after(&mut self, now: Now) {
        for name in self.owners.forget_silent(now.at) {
            self.places.remove(&name);
        }
        // A clock that is set is no reason to forget anybody.
        let max_age = Duration::from_millis(self.max_age_ms);
        let is_old = |since: Instant| now.at.saturating_duration_since(since) > max_age;
        let old = self.silent_since.iter().filter(|(_, since)| is_old(**since));
        let mut old: Vec<_> = old.map(|(name, _)| name.clone()).collect();
        old.retain(|name| self.owners.of(name, now.at).is_none());
        let forgets = !old.is_empty();
        for name in old {
            tracing::warn!(
                event = "cursor_forgotten",
                cursor = %name,
                "it was away for longer than batches are kept"
            );
            self.cursors.remove(&name);
            self.silent_since.remove(&name);
            self.gone.forget(&name);
        }
        if forgets {
            self.cursors_changed();
        }
        if now.at.saturating_duration_since(self.heard_kept) >= KEEP_HEARD {
            self.heard_kept = now.at;
            self.cursors.keep_heard();
        }
        // It has been logged, and is tried again with the next change.
        self.save().ok();
    }

    fn cursors_changed(&mut self) {
        self.log.set_passed(self.cursors.passed());
        let mut kept = self.cursors.wanted();
        kept.all |= self.keep_levels.all;
        kept.levels.extend(self.keep_levels.levels.iter().cloned());
        if kept != self.kept {
            self.kept.clone_from(&kept);
            self.log.keep(kept);
        }
    }

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
                gone: cursor.gone,
                reader: self.owners.of(name, now.at).unwrap_or_default(),
            }
        };
        self.cursors.iter().map(state).collect()
    }

    fn unreadable(&self, error: &io::Error) -> Refused {
        tracing::error!(event = "journal_not_read", %error);
        let path = self.log.path().display();
        refusal(Refusal::Disk, &format!("the broker cannot read its journal in {path}: {error}"))
    }
}

#[cfg(test)]
mod tests;
