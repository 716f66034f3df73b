//! Handles requests. Each is answered immediately, after cursors were saved, or later.

use super::fetch::{FetchResult, read_batches};
use super::gone::Gone;
use super::owners::{Origin, Owners};
use super::refusal::{owned, refusal, unknown};
use super::saving::Saving;
use crate::journal::{Cursor, Cursors, Log, Reader, levels};
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::daemon::LogLimit;
use zibrato::wire::{
    Commit, Fetch, MAX_CURSOR_LEVELS, MAX_CURSORS, Position, Reader as Who, Refusal, Refused,
    ReplayAnswer, ReplayRequest, WantedLevels,
};

/// Maximum time that a request waits for batches.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Maximum bytes of the session, the text that distinguishes processes.
const MAX_SESSION_BYTES: usize = 128;

/// If cursors were lost, all levels are kept for this time after the start, because the levels of a
/// reader are unknown until it has connected.
const KEEP_ALL: Duration = Duration::from_secs(600);

/// Time for which the journal counts as unreadable after a failed read.
const UNREADABLE_FOR: Duration = Duration::from_secs(10);

/// Interval at which the times of the last requests are saved if nothing else has changed.
const KEEP_HEARD: Duration = Duration::from_secs(60);

/// The cursors and the readers.
#[derive(Debug)]
pub(crate) struct FetchHandler {
    log: Arc<Log>,
    cursors: Cursors,
    owners: Owners,
    /// The position where each reader stopped, by name.
    places: HashMap<String, (u64, Reader)>,
    keep_levels: WantedLevels,
    kept: WantedLevels,
    max_age_ms: u64,
    /// Counts of batches that were deleted before they were read.
    gone: Gone,
    /// The time of each reader's last request, on the monotonic clock.
    silent_since: HashMap<String, Instant>,
    heard_kept: Instant,
    /// Names of deleted cursors, and those of them whose readers are back and must be told.
    forgotten: HashSet<String>,
    to_tell: HashSet<String>,
    saving: Saving,
    /// The last error of reading the journal, and its time.
    unreadable: Option<(String, Instant)>,
    unreadable_told: LogLimit<60>,
    begun: Instant,
}

/// The result of a request.
pub(crate) enum Outcome {
    /// This answer, immediately.
    Answer(ReplayAnswer),
    /// This answer, once the cursors are saved.
    WhenSaved(ReplayAnswer),
    /// These batches, immediately.
    Batches(FetchResult),
    /// No answer yet. The request must be handled again when there are more batches, and at this
    /// time at the latest.
    Wait(Instant),
}

/// Problems of the replay port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReplayHealth {
    /// Why cursors cannot be saved.
    pub(crate) unsaved: Option<String>,
    /// Why the journal cannot be read.
    pub(crate) unreadable: Option<String>,
    /// The number of failed attempts to save cursors.
    pub(crate) failures: u64,
}

/// The current time, on the monotonic clock for leases and on the wall clock for display.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) at: Instant,
    /// Unix time in milliseconds.
    pub(crate) ms: u64,
}

impl FetchHandler {
    /// Cursors without a request for `max_age_ms` are deleted. `keep_levels` are wanted even without a
    /// cursor.
    pub(crate) fn new(
        log: Arc<Log>,
        cursors: Cursors,
        (keep_levels, max_age_ms): (WantedLevels, u64),
        now: Now,
    ) -> Self {
        let mut handler = Self {
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
            forgotten: HashSet::new(),
            to_tell: HashSet::new(),
            saving: Saving::default(),
            unreadable: None,
            unreadable_told: LogLimit::default(),
            begun: now.at,
        };
        let lines = handler.cursors.damaged();
        if handler.cursors.is_lossy() {
            tracing::error!(
                event = "cursors_lost",
                lines,
                known = handler.cursors.iter().count(),
                why = "a reader whose cursor is lost starts at the oldest batch that is kept, so \
                       it delivers windows again; it misses batches that were deleted, and levels \
                       that nobody subscribes to before it starts"
            );
        } else if lines > 0 {
            tracing::warn!(
                event = "cursors_damaged",
                lines,
                why = "the last known positions are used; windows delivered since then are \
                       delivered again"
            );
        }
        // Readers could not connect while the broker was down, so that time does not count.
        for name in handler.names() {
            handler.cursors.heard(&name, now.ms);
            handler.silent_since.insert(name, now.at);
        }
        handler.cursors_changed(now);
        handler
    }

    fn names(&self) -> Vec<String> {
        self.cursors.iter().map(|(name, _)| name.to_owned()).collect()
    }

    /// The journal.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Handles a request.
    pub(crate) fn take(&mut self, request: &ReplayRequest, from: Origin<'_>, now: Now) -> Outcome {
        let taken = match request {
            ReplayRequest::Fetch(fetch) => self.fetch(fetch, from, now),
            ReplayRequest::Commit(commit) => self.commit(commit, from, now),
            ReplayRequest::Release(who) => {
                self.owners.release(who);
                self.places.remove(&who.name);
                Ok(Outcome::Answer(ReplayAnswer::Released))
            }
            ReplayRequest::Cursors => Ok(Outcome::Answer(ReplayAnswer::Cursors(self.list(now)))),
            ReplayRequest::Reset(reset) => self.reset(reset, now),
            ReplayRequest::Delete(named) => self.delete(&named.name, now),
            // Later versions may have other requests.
            #[expect(unreachable_patterns, reason = "requests may get further variants")]
            _ => Err(refusal(Refusal::Malformed, "this broker does not know the request")),
        };
        taken.unwrap_or_else(|refused| Outcome::Answer(ReplayAnswer::Refused(refused)))
    }

    fn fetch(&mut self, fetch: &Fetch, from: Origin<'_>, now: Now) -> Result<Outcome, Refused> {
        self.admit(&fetch.reader, (&fetch.about, from), now)?;
        let name = &fetch.reader.name;
        let names = fetch.levels.iter().map(String::as_str);
        let levels = levels(names).filter(|_| fetch.levels.len() <= MAX_CURSOR_LEVELS);
        let levels = levels.ok_or_else(|| {
            refusal(Refusal::Malformed, "expected 1 to 1,000 levels, or `*` for every level")
        })?;
        let known = self.known(fetch.after);
        // A position in another journal has no meaning here.
        let is_anew = fetch.after.is_some_and(|after| after.journal != self.log.id());
        let begin = known.or(is_anew.then_some(0));
        self.register(name, &levels, begin, now)?;
        let after = known.or_else(|| Some(self.cursors.get(name)?.offset)).unwrap_or_default();
        let mut reader = match self.places.remove(name) {
            Some((place, reader)) if place == after => reader,
            _ => Reader::after(after),
        };
        let result = read_batches(&self.log, &mut reader, &levels, fetch.max_bytes);
        let mut result = result.map_err(|error| self.cannot_read(&error))?;
        result.tells = self.to_tell.get(name).cloned();
        result.head.forgotten = result.tells.is_some();
        self.is_readable();
        // Up to a thousand positions may be kept, so their buffers are freed.
        reader.rest();
        let gone = self.gone.news(name, after, result.head.gone);
        if gone > 0 {
            self.gone.tell();
        }
        let wait = Duration::from_millis(fetch.wait_ms).min(MAX_WAIT);
        if result.is_empty() && !wait.is_zero() {
            let until = now.at + wait;
            self.owners.extend(name, until);
            self.places.insert(name.clone(), (after, reader));
            return Ok(Outcome::Wait(until));
        }
        self.places.insert(name.clone(), (result.head.next.offset, reader));
        Ok(Outcome::Batches(result))
    }

    /// The answer that tells a reader that its cursor was forgotten was sent.
    pub(crate) fn has_told(&mut self, name: &str) {
        self.to_tell.remove(name);
    }

    /// Checks a reader's name and session, and claims the name for it.
    fn admit(&mut self, who: &Who, about: (&str, Origin<'_>), now: Now) -> Result<(), Refused> {
        let Who { name, session } = who;
        if let Err(problem) = zibrato::check_name(name) {
            let text = format!("{name:?} is not a valid name for a cursor: {problem}");
            return Err(refusal(Refusal::Malformed, &text));
        }
        if session.is_empty() || session.len() > MAX_SESSION_BYTES {
            let text = "session must be a unique text of 1 to 128 bytes";
            return Err(refusal(Refusal::Malformed, text));
        }
        if self.cursors.get(name).is_some() {
            self.cursors.heard(name, now.ms);
            self.silent_since.insert(name.clone(), now.at);
        }
        self.owners.claim(who, about, now.at).map_err(|owner| owned(name, &owner))
    }

    /// The offset of a position, if it is in this journal.
    fn known(&self, place: Option<Position>) -> Option<u64> {
        let place = place.filter(|place| place.journal == self.log.id())?;
        (place.offset <= self.log.end()).then_some(place.offset)
    }

    /// Creates the cursor if there is none, and makes the journal keep its levels.
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
                let text = "there are 1,000 cursors already; delete unused ones with \
                            `zibrato-broker cursors delete`";
                return Err(refusal(Refusal::TooMany, text));
            }
            None => {
                // Its cursor may be one of those that were lost.
                let begin = || self.oldest().filter(|_| self.cursors.is_lossy());
                let offset = after.or_else(begin).unwrap_or_else(|| self.log.end());
                let levels = levels.clone();
                let new = Cursor { offset, heard_ms: now.ms, gone: 0, levels };
                tracing::info!(event = "cursor_begun", cursor = %name, offset);
                self.to_tell.extend(self.forgotten.take(name));
                self.cursors.change(name, |cursor| *cursor = new);
                self.silent_since.insert(name.to_owned(), now.at);
            }
        }
        // A failure is logged and saving is retried. Readers get batches meanwhile.
        self.save(now.at).ok();
        self.cursors_changed(now);
        Ok(())
    }

    /// The offset before the oldest batch in the journal.
    fn oldest(&self) -> Option<u64> {
        self.log.outline().segments.first().map(|segment| segment.first - 1)
    }

    fn commit(&mut self, commit: &Commit, from: Origin<'_>, now: Now) -> Result<Outcome, Refused> {
        let Commit { reader, at } = commit;
        self.admit(reader, ("", from), now)?;
        if self.known(Some(*at)).is_none() {
            let text = format!("the journal with this number has no offset {}", at.offset);
            return Err(refusal(Refusal::Malformed, &text));
        }
        if self.cursors.get(&reader.name).is_none() {
            return Err(unknown(&reader.name));
        }
        let gone = self.gone.take_passed(&reader.name, at.offset);
        self.cursors.change(&reader.name, |cursor| {
            cursor.offset = cursor.offset.max(at.offset);
            cursor.gone = cursor.gone.saturating_add(gone);
        });
        let offset = self.cursors.get(&reader.name).map_or(at.offset, |cursor| cursor.offset);
        self.log.set_passed(self.cursors.passed());
        let at = Position { journal: self.log.id(), offset };
        Ok(Outcome::WhenSaved(ReplayAnswer::Committed(at)))
    }

    /// Saves changed cursors, unless the last attempt failed a moment ago.
    pub(crate) fn save(&mut self, now: Instant) -> Result<(), Refused> {
        self.saving.save(&mut self.cursors, self.log.directory(), now).map_err(|problem| {
            let text = format!(
                "the broker has received the position but cannot write it to disk, and keeps \
                 trying: {problem}"
            );
            refusal(Refusal::NotSaved, &text)
        })
    }

    /// Problems with saving cursors and reading the journal.
    pub(crate) fn health(&self) -> ReplayHealth {
        let (unsaved, failures) = self.saving.health();
        let unreadable = self.unreadable.as_ref().map(|(problem, _)| problem.clone());
        ReplayHealth { unsaved, unreadable, failures }
    }

    /// Deletes cursors of readers that were away for too long, and saves the others.
    pub(crate) fn look_after(&mut self, now: Now) {
        for name in self.owners.forget_silent(now.at) {
            self.places.remove(&name);
        }
        // The monotonic clock is used, so that setting the wall clock deletes no cursor.
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
                why = "its reader was away for longer than batches are kept"
            );
            self.cursors.remove(&name);
            self.silent_since.remove(&name);
            self.gone.forget(&name);
            if self.forgotten.len() < MAX_CURSORS {
                self.forgotten.insert(name);
            }
        }
        if forgets {
            self.cursors_changed(now);
        }
        if now.at.saturating_duration_since(self.heard_kept) >= KEEP_HEARD {
            self.heard_kept = now.at;
            self.cursors.keep_heard();
        }
        if self.cursors.is_lossy() {
            self.cursors_changed(now);
        }
        self.gone.tell();
        // A reader that got an error repeats its request, unless it is gone.
        if self.unreadable.as_ref().is_some_and(|(_, since)| since.elapsed() > UNREADABLE_FOR) {
            self.unreadable = None;
        }
        self.cursors.look(self.log.directory());
        // A failure is logged, and saving is retried.
        self.save(now.at).ok();
    }

    fn cursors_changed(&mut self, now: Now) {
        self.log.set_passed(self.cursors.passed());
        let mut kept = self.cursors.wanted();
        kept.all |= self.keep_levels.all;
        kept.all |= self.cursors.is_lossy() && now.at < self.begun + KEEP_ALL;
        kept.levels.extend(self.keep_levels.levels.iter().cloned());
        if kept != self.kept {
            self.kept.clone_from(&kept);
            self.log.keep(kept);
        }
    }

    fn is_readable(&mut self) {
        self.unreadable = None;
        if self.unreadable_told.is_over() {
            tracing::info!(event = "journal_read_again");
        }
    }

    fn cannot_read(&mut self, error: &io::Error) -> Refused {
        if self.unreadable_told.admits() {
            tracing::error!(event = "journal_not_read", %error);
        }
        let path = self.log.path().display();
        let text = format!("the broker cannot read its journal in {path}: {error}");
        self.unreadable = Some((text.clone(), Instant::now()));
        refusal(Refusal::Disk, &text)
    }
}

mod by_hand;
#[cfg(test)]
mod tests;
