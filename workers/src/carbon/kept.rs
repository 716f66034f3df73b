//! What was written to Carbon lately, and how long each payload may still be lost.
//!
//! Pure: times are arguments.

use crate::backend::Payload;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How much is kept: more than the buffers on both sides hold by default. The peer has read what so
/// many bytes followed on the same connection.
const KEEP_BYTES: usize = 16 << 20;

/// How long a payload is kept, also when it is safe: Carbon stores what it has read later.
const KEEP_FOR: Duration = Duration::from_secs(120);

/// A payload is safe when the connection has stayed open for so long after it was written.
pub(super) const SETTLES: Duration = Duration::from_secs(30);

/// A payload that was read from so many connections, each of which the peer then closed, is safe
/// after [`KEEP_FOR`]: some peers close the connection after each window.
const ORDERLY_ENDS: u8 = 3;

/// A payload that was written.
#[derive(Debug)]
struct Kept {
    payload: Payload,
    /// When it was first written, and when on the present connection.
    first: Instant,
    written: Instant,
    /// It is safe.
    settled: bool,
    /// How many peers have read it and closed the connection, since one was reset last.
    ends: u8,
    /// For how long the peer was listened to when it was last written to a connection of its own.
    passed: Duration,
}

/// The payloads that were written, oldest first.
#[derive(Debug, Default)]
pub(super) struct Written {
    kept: VecDeque<Kept>,
    bytes: usize,
}

impl Written {
    /// A payload was written on the connection on which all others stand.
    pub(super) fn keep(&mut self, payload: &Payload, passed: Duration, now: Instant) {
        let (first, written, payload) = (now, now, payload.clone());
        self.bytes += payload.body.len();
        self.kept.push_back(Kept { payload, first, written, settled: false, ends: 0, passed });
        self.forget(now);
        while let Some(oldest) = self.kept.front().map(|kept| kept.payload.body.len())
            && self.bytes - oldest >= KEEP_BYTES
        {
            self.kept.pop_front();
            self.bytes -= oldest;
        }
    }

    /// Forgets what is safe and old.
    pub(super) fn forget(&mut self, now: Instant) {
        let is_old = |kept: &Kept| kept.settled && since(now, kept.first) >= KEEP_FOR;
        while let Some(oldest) = self.kept.pop_front_if(|kept| is_old(kept)) {
            self.bytes -= oldest.payload.body.len();
        }
    }

    /// Everything was written once more, on a new connection; or that was reset meanwhile.
    pub(super) fn written_again(&mut self, now: Instant, is_whole: bool) {
        if is_whole {
            self.kept.iter_mut().for_each(|kept| kept.written = now);
        } else {
            self.was_reset();
        }
    }

    /// The peer has read everything and closed the connection.
    pub(super) fn ended(&mut self) {
        self.kept.iter_mut().for_each(|kept| kept.ends = kept.ends.saturating_add(1));
    }

    /// The connection was reset: nobody knows what the peer has read.
    pub(super) fn was_reset(&mut self) {
        self.kept.iter_mut().for_each(|kept| kept.ends = 0);
    }

    /// Since when the oldest payload is on its way that may still be lost. `stands` says whether
    /// everything was written on a connection that is open.
    pub(super) fn unsettled_since(&mut self, stands: bool, now: Instant) -> Option<Instant> {
        for kept in &mut self.kept {
            let stood = stands && since(now, kept.written) >= SETTLES;
            let was_read = kept.ends >= ORDERLY_ENDS && since(now, kept.first) >= KEEP_FOR;
            kept.settled |= stood || was_read;
        }
        self.unsettled().map(|kept| kept.first).min()
    }

    /// What may still be lost.
    fn unsettled(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter().filter(|kept| !kept.settled)
    }

    /// The first that may still be lost and did not stand alone for as long as `patience`.
    pub(super) fn untried(&self, patience: Duration) -> Option<usize> {
        self.kept.iter().position(|kept| !kept.settled && kept.passed < patience)
    }

    /// The peer has borne the payload at a place alone.
    pub(super) fn passes(&mut self, place: usize, patience: Duration) {
        if let Some(kept) = self.kept.get_mut(place) {
            kept.passed = patience;
        }
    }

    /// Takes out what the peer refuses.
    pub(super) fn take(&mut self, place: usize) -> Option<Payload> {
        let payload = self.kept.remove(place)?.payload;
        self.bytes -= payload.body.len();
        Some(payload)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(super) fn body(&self, place: usize) -> Option<Vec<u8>> {
        self.kept.get(place).map(|kept| kept.payload.body.clone())
    }

    pub(super) fn bodies(&self) -> impl Iterator<Item = &[u8]> {
        self.kept.iter().map(|kept| &*kept.payload.body)
    }
}

fn since(now: Instant, then: Instant) -> Duration {
    now.saturating_duration_since(then)
}

#[cfg(test)]
mod tests {
    use super::{KEEP_BYTES, KEEP_FOR, SETTLES, Written};
    use crate::backend::Payload;
    use std::time::{Duration, Instant};

    const SECOND: Duration = Duration::from_secs(1);

    fn kept(bytes: usize, at: Instant) -> Written {
        let mut written = Written::default();
        written.keep(&Payload::new(vec![b'x'; bytes], 1), Duration::ZERO, at);
        written
    }

    #[test]
    fn a_payload_is_safe_when_it_has_stood_on_an_open_connection_and_not_before() {
        let begun = Instant::now();
        let mut written = kept(1, begun);
        assert_eq!(written.unsettled_since(true, begun + SETTLES - SECOND), Some(begun));
        // The connection breaks, and is made again after an hour.
        written.was_reset();
        let later = begun + SECOND * 3600;
        assert_eq!(written.unsettled_since(false, later), Some(begun));
        written.written_again(later, true);
        assert_eq!(written.unsettled_since(true, later + SETTLES - SECOND), Some(begun));
        assert_eq!(written.unsettled_since(true, later + SETTLES), None);
        // It is written again when the connection breaks once more, but was safe before.
        assert_eq!(written.unsettled_since(false, later + SETTLES), None);
        assert_eq!(written.bodies().count(), 1);
        written.forget(later);
        assert_eq!((written.bodies().count(), written.bytes), (0, 0));
    }

    #[test]
    fn what_a_peer_reads_before_it_closes_each_connection_is_safe_in_the_end() {
        let begun = Instant::now();
        let mut written = kept(1, begun);
        for _ in 0..2 {
            written.ended();
        }
        assert_eq!(written.unsettled_since(false, begun + KEEP_FOR), Some(begun));
        written.was_reset();
        for _ in 0..3 {
            written.ended();
        }
        assert_eq!(written.unsettled_since(false, begun + KEEP_FOR - SECOND), Some(begun));
        assert_eq!(written.unsettled_since(false, begun + KEEP_FOR), None);
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_left_out_was_read() {
        let begun = Instant::now();
        let mut written = Written::default();
        for second in 0..10 {
            let payload = Payload::new(vec![b'x'; KEEP_BYTES / 4], 1);
            written.keep(&payload, Duration::ZERO, begun + SECOND * second);
            assert!(written.bytes <= KEEP_BYTES, "{}", written.bytes);
        }
        assert_eq!(written.unsettled_since(false, begun + SECOND * 10), Some(begun + SECOND * 6));
        written.keep(&Payload::new(vec![b'x'; KEEP_BYTES * 2], 1), Duration::ZERO, begun);
        assert_eq!(written.bodies().count(), 1);
    }

    #[test]
    fn what_is_refused_is_taken_out_and_what_passed_is_not_tried_again() {
        let begun = Instant::now();
        let mut written = kept(3, begun);
        written.keep(&Payload::new(vec![b'y'; 5], 1), SECOND, begun);
        assert_eq!(written.untried(SECOND), Some(0));
        assert_eq!(written.take(0).unwrap().body, b"xxx");
        assert_eq!((written.bytes, written.untried(SECOND)), (5, None));
        assert_eq!(written.untried(SECOND * 2), Some(0));
    }
}
