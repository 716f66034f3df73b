//! Handles rejected payloads: finds the bad series, and keeps them in dead letters.

use super::attempt::Answer;
use super::key::PayloadId;
use super::names::{MOST_NAMES, sample};
use super::split::{Found, Pieces, halves};
use super::together::First;
use super::{Delivery, PROBE, PROBE_AGAIN};
use crate::backend::{Backend, Payload, RefusedPart};
use crate::backoff::roll;
use crate::dead_letters::{DeadLetters, KeepError, Letter};
use std::ops::ControlFlow::{self, Break, Continue};
use std::time::{Duration, Instant};
use zibrato::clock::unix_ms;

impl<B: Backend> Delivery<B> {
    /// Sends a rejected payload in parts until the bad series are alone, for at most `longest`,
    /// which includes earlier payloads of its window. Always returns that not all was accepted,
    /// unless the payload was only too large.
    pub(super) fn refused(
        &mut self,
        payload: Payload,
        id: PayloadId,
        why: String,
        longest: Duration,
    ) -> ControlFlow<(), bool> {
        let cut = halves(&payload, self.backend.split(&payload));
        let Some(cut) = cut else {
            self.reject(&payload, id, self.names(&payload), why)?;
            return Continue(false);
        };
        self.shared.ledger.write(|c| c.payloads_split += 1);
        let mut pieces = Pieces::of(&payload, cut, self.refused_whole);
        let mut whole = true;
        // A window must not be split for longer than its length. Only requests with an answer
        // count, because an outage says nothing about the series.
        while let Some(piece) = pieces.next(self.split_for >= longest) {
            let piece = self.keyed(piece, id);
            let series = piece.series as u64;
            let answer = self.attempt(&piece, First::Unsent)?;
            self.split_for += self.answered_in;
            match answer {
                Answer::Taken => {
                    pieces.taken();
                    self.shared.ledger.write(|c| c.series_delivered += series);
                }
                Answer::TakenInPart { refused, why } => {
                    pieces.taken();
                    whole &= self.taken_in_part(&piece, refused, id, why)?;
                }
                Answer::Refused { why } => {
                    let halves = halves(&piece, self.backend.split(&piece));
                    pieces.refused(piece, halves, why);
                }
            }
        }
        let requests = pieces.requests();
        let found = pieces.found(&why);
        match found {
            Found::Nothing => {
                self.refused_whole = self.refused_whole.saturating_add(1);
                self.reject(&payload, id, self.names(&payload), why)?;
                whole = false;
            }
            Found::Bad(bad) => {
                self.refused_whole = 0;
                let (series, bad_parts) = (payload.series, bad.len());
                tracing::debug!(event = "split", key = payload.key, series, bad_parts, requests);
                for (piece, why) in bad {
                    // A part that was not tried has no key, by which letters are distinguished.
                    let piece = self.keyed(piece, id);
                    self.reject(&piece, id, self.names(&piece), why)?;
                    whole = false;
                }
            }
        }
        Continue(whole)
    }

    /// The backend has accepted a payload except for some series.
    pub(super) fn taken_in_part(
        &mut self,
        payload: &Payload,
        refused: RefusedPart,
        id: PayloadId,
        why: String,
    ) -> ControlFlow<(), bool> {
        let (mut part, names, taken) = match refused {
            RefusedPart::These(part) => {
                let taken = payload.series.saturating_sub(part.series);
                let names = self.names(&part);
                (part, names, taken)
            }
            // It is unknown which: the letter contains all of it.
            RefusedPart::SomeOf(count) => {
                (payload.clone(), None, payload.series.saturating_sub(count))
            }
        };
        part.series = payload.series - taken;
        self.shared.ledger.write(|c| c.series_delivered += taken as u64);
        let part = self.keyed(part, id);
        self.reject(&part, id, names, why)?;
        Continue(false)
    }

    /// The names of some of the series in a payload.
    fn names(&self, payload: &Payload) -> Option<String> {
        sample(&self.backend.names(payload, MOST_NAMES), payload.series)
    }

    /// Writes a rejected payload to a file. The window is held while no file can be written.
    fn reject(
        &mut self,
        payload: &Payload,
        id: PayloadId,
        names: Option<String>,
        why: String,
    ) -> ControlFlow<()> {
        let (series, key) = (payload.series, &*payload.key);
        if let Some(left_out) = self.limits.rejected.admit(Instant::now()) {
            let names = names.as_deref();
            tracing::error!(event = "rejected", series, names, key, left_out, why);
        }
        let count = series as u64;
        if self.dead_letters.is_none() {
            self.shared.ledger.write(|c| c.series_rejected += count);
            return Continue(());
        }
        let letter = Letter {
            name: self.name.clone(),
            key: payload.key.clone(),
            start_ms: id.start_ms,
            length_ms: id.length_ms,
            series,
            names: names.unwrap_or_default(),
            rejected_ms: unix_ms(),
            answer: why,
            body: payload.body.clone(),
        };
        let lost = loop {
            let Some(letters) = &mut self.dead_letters else { break None };
            match letters.put(&letter) {
                Ok(()) => break None,
                Err(error @ KeepError::Full { .. }) => {
                    self.shared.status.letters_fail(Some(error.to_string()));
                    break Some(error.reason());
                }
                Err(error) => {
                    if self.hold_for_letters(&error).is_break() {
                        if self.shared.progress.reading().replaying {
                            return Break(());
                        }
                        let why = "the worker is stopping, and with --live no journal keeps the \
                                   payload";
                        tracing::error!(event = "dead_letter_lost", reason = error.reason(), why);
                        break Some(error.reason());
                    }
                }
            }
        };
        self.shared.ledger.write(|c| match lost {
            Some(reason) => c.lose(reason, count),
            None => {
                c.dead_letters += 1;
                c.series_rejected += count;
            }
        });
        if lost.is_none() {
            self.letters_can_be_kept();
        }
        Continue(())
    }

    /// Waits before the next attempt to write the letter.
    fn hold_for_letters(&mut self, error: &KeepError) -> ControlFlow<()> {
        if self.shared.queue.is_abandoned() {
            return Break(());
        }
        self.letters_cannot_be_kept(error);
        let wait = self.backoff.next(roll()).min(PROBE_AGAIN);
        self.pause(wait, None)
    }

    fn letters_cannot_be_kept(&mut self, error: &KeepError) {
        self.shared.status.letters_fail(Some(error.to_string()));
        if let Some(left_out) = self.limits.letters.admit(Instant::now()) {
            let what = "rejected payloads are held until the folder can be written";
            tracing::error!(event = "dead_letters_unwritable", why = %error, left_out, what);
        }
    }

    fn letters_can_be_kept(&mut self) {
        self.shared.status.letters_fail(None);
        let was_full = self.dead_letters.as_mut().is_some_and(DeadLetters::is_full_no_more);
        if self.limits.letters.is_over() || was_full {
            tracing::info!(event = "dead_letters_writable");
        }
    }

    /// Checks whether dead letters can be written, and returns the time of the next check.
    pub(super) fn probe(&mut self) -> Instant {
        let now = Instant::now();
        if now < self.next_probe {
            return self.next_probe;
        }
        let result = self.dead_letters.as_mut().map(DeadLetters::probe);
        let pause = match result {
            None | Some(Ok(())) => {
                self.letters_can_be_kept();
                PROBE
            }
            // This is logged when a letter is lost.
            Some(Err(error @ KeepError::Full { .. })) => {
                self.shared.status.letters_fail(Some(error.to_string()));
                PROBE_AGAIN
            }
            Some(Err(error)) => {
                self.letters_cannot_be_kept(&error);
                PROBE_AGAIN
            }
        };
        self.next_probe = now + pause;
        self.next_probe
    }
}

#[cfg(test)]
mod tests;
