//! The payloads that were recently written to Carbon, and whether each may still be lost.
//!
//! Pure: times are arguments.

use crate::backend::Payload;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Maximum number of bytes to keep: more than the default buffers on both sides. The peer has read
/// a payload once this number of bytes has followed it on the same connection.
const KEEP_BYTES: usize = 16 << 20;

/// Minimum time to keep a payload, even if it is safe, because Carbon stores later than it reads.
const KEEP_FOR: Duration = Duration::from_secs(120);

/// A payload is safe if the connection has stayed open for this time after the write.
pub(super) const SETTLES: Duration = Duration::from_secs(30);

/// A payload that the peer has read on this number of connections, and then closed each of them, is
/// safe after [`KEEP_FOR`]. Some peers close the connection after each window.
const ORDERLY_ENDS: u8 = 3;

/// A payload that was written.
#[derive(Debug)]
struct Kept {
    payload: Payload,
    /// Time of its first write, and of that on the current connection.
    first: Instant,
    written: Instant,
    /// Whether it is safe.
    settled: bool,
    /// Number of connections on which the peer has read it and closed, since the last reset.
    ends: u8,
    /// Time for which the last separate connection with it was watched.
    passed: Duration,
}

/// The payloads that were written, oldest first.
#[derive(Debug, Default)]
pub(super) struct Written {
    kept: VecDeque<Kept>,
    bytes: usize,
}

impl Written {
    /// A payload was written on the connection of all others.
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

    /// Removes old payloads that are safe.
    pub(super) fn forget(&mut self, now: Instant) {
        let is_old = |kept: &Kept| kept.settled && since(now, kept.first) >= KEEP_FOR;
        while let Some(oldest) = self.kept.pop_front_if(|kept| is_old(kept)) {
            self.bytes -= oldest.payload.body.len();
        }
    }

    /// Everything was written again on a new connection; `is_whole` is false if that was reset
    /// meanwhile.
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

    /// The connection was reset. It is unknown what the peer has read.
    pub(super) fn was_reset(&mut self) {
        self.kept.iter_mut().for_each(|kept| kept.ends = 0);
    }

    /// The time since which the oldest payload that may still be lost has been in transit. `intact`
    /// says whether everything was written on the open connection.
    pub(super) fn unsettled_since(&mut self, intact: bool, now: Instant) -> Option<Instant> {
        for kept in &mut self.kept {
            let stood = intact && since(now, kept.written) >= SETTLES;
            let was_read = kept.ends >= ORDERLY_ENDS && since(now, kept.first) >= KEEP_FOR;
            kept.settled |= stood || was_read;
        }
        self.unsettled().map(|kept| kept.first).min()
    }

    /// The payloads that may still be lost.
    fn unsettled(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter().filter(|kept| !kept.settled)
    }

    /// The first payload that may still be lost and was not watched on a separate connection for
    /// `watched`.
    pub(super) fn untried(&self, watched: Duration) -> Option<usize> {
        self.kept.iter().position(|kept| !kept.settled && kept.passed < watched)
    }

    /// The peer has accepted the payload at this index on a separate connection.
    pub(super) fn passes(&mut self, place: usize, watched: Duration) {
        if let Some(kept) = self.kept.get_mut(place) {
            kept.passed = watched;
        }
    }

    /// Removes a payload that the peer rejects.
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
    fn a_payload_is_safe_once_the_connection_has_stayed_open_long_enough() {
        let begun = Instant::now();
        let mut written = kept(1, begun);
        assert_eq!(written.unsettled_since(true, begun + SETTLES - SECOND), Some(begun));
        // The connection breaks, and is opened again after an hour.
        written.was_reset();
        let later = begun + SECOND * 3600;
        assert_eq!(written.unsettled_since(false, later), Some(begun));
        written.written_again(later, true);
        assert_eq!(written.unsettled_since(true, later + SETTLES - SECOND), Some(begun));
        assert_eq!(written.unsettled_since(true, later + SETTLES), None);
        // It is written again if the connection breaks again, but was safe before.
        assert_eq!(written.unsettled_since(false, later + SETTLES), None);
        assert_eq!(written.bodies().count(), 1);
        written.forget(later);
        assert_eq!((written.bodies().count(), written.bytes), (0, 0));
    }

    #[test]
    fn a_payload_is_safe_after_several_orderly_ends() {
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
    fn kept_payloads_are_bounded_and_removed_ones_were_read() {
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
    fn rejected_payloads_are_removed_and_accepted_ones_are_not_tried_again() {
        let begun = Instant::now();
        let mut written = kept(3, begun);
        written.keep(&Payload::new(vec![b'y'; 5], 1), SECOND, begun);
        assert_eq!(written.untried(SECOND), Some(0));
        assert_eq!(written.take(0).unwrap().body, b"xxx");
        assert_eq!((written.bytes, written.untried(SECOND)), (5, None));
        assert_eq!(written.untried(SECOND * 2), Some(0));
    }
}
