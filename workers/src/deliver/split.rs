//! Finds the series for which a payload was rejected: splits it in halves until they are alone.
//!
//! Pure: pieces to send are results, and answers are arguments.
//!
//! `k` bad series among `n` cost about `2 k log n` requests. A receiver that rejects everything,
//! such as a wrong account, must not cost `n` requests, so there is a budget until something is
//! accepted. The first half of the budget is for the largest pieces, to find out whether the bad
//! series are adjacent. The second half is for the smallest pieces, to find out whether there are
//! good series among many bad ones.

use crate::Payload;
use std::collections::VecDeque;

/// Number of requests per level of halving until something is accepted.
const REQUESTS_PER_LEVEL: usize = 2;

/// The pieces of a rejected payload.
#[derive(Debug)]
pub(super) struct Pieces {
    /// Pieces that have not been sent yet.
    open: VecDeque<Payload>,
    /// Pieces that were rejected and cannot be split, with the receiver's answers.
    alone: Vec<(Payload, String)>,
    requests: usize,
    taken: bool,
    /// Number of requests for the largest pieces, and in total, until something is accepted.
    wide: usize,
    budget: usize,
    /// Maximum number of requests, however a backend splits. A series may be split too: a timer has
    /// several lines in Carbon.
    most: usize,
}

/// The result of a search.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing was accepted: the receiver rejects all series, not single ones.
    Nothing,
    /// Everything except these was accepted, with the receiver's answer to each.
    Bad(Vec<(Payload, String)>),
}

impl Pieces {
    /// Begins with the halves of a rejected payload. `refused_whole` is the number of previous
    /// payloads of which all parts were rejected; each of them halves the budget of this one, down
    /// to two requests.
    pub(super) fn of(payload: &Payload, halves: [Payload; 2], refused_whole: u32) -> Self {
        let levels = usize::BITS - payload.series.max(2).leading_zeros();
        let wide = REQUESTS_PER_LEVEL * levels as usize;
        Self {
            open: halves.into(),
            alone: Vec::new(),
            requests: 0,
            taken: false,
            wide,
            budget: (2 * wide).checked_shr(refused_whole).unwrap_or(0).max(2),
            most: payload.body.len().saturating_mul(2),
        }
    }

    /// The next piece to send; `None` if the search is complete or out of time.
    pub(super) fn next(&mut self, is_late: bool) -> Option<Payload> {
        if is_late || self.requests >= self.most || (!self.taken && self.requests >= self.budget) {
            return None;
        }
        let largest = !self.taken && self.requests < self.wide;
        let piece = if largest { self.open.pop_front() } else { self.open.pop_back() }?;
        self.requests += 1;
        Some(piece)
    }

    /// The last piece was accepted.
    pub(super) const fn taken(&mut self) {
        self.taken = true;
    }

    /// The last piece was rejected; `halves` are its halves, if it can be split.
    pub(super) fn refused(&mut self, piece: Payload, halves: Option<[Payload; 2]>, why: String) {
        match halves {
            Some(halves) => self.open.extend(halves),
            None => self.alone.push((piece, why)),
        }
    }

    /// Number of pieces that were sent.
    pub(super) const fn requests(&self) -> usize {
        self.requests
    }

    /// The result. `why` is the receiver's answer to the whole payload.
    pub(super) fn found(mut self, why: &str) -> Found {
        if !self.taken {
            return Found::Nothing;
        }
        // Pieces for which there was no time, or which a backend did not split in halves.
        self.alone.extend(self.open.into_iter().map(|piece| (piece, why.to_owned())));
        Found::Bad(self.alone)
    }
}

/// The halves of a payload from a backend, if each is smaller than the whole. Their numbers of
/// series add up to that of the payload.
pub(super) fn halves(payload: &Payload, cut: Option<[Payload; 2]>) -> Option<[Payload; 2]> {
    let [mut left, mut right] = cut?;
    let less = |half: &Payload| half.body.len() < payload.body.len();
    if !less(&left) || !less(&right) {
        return None;
    }
    left.series = left.series.min(payload.series);
    right.series = payload.series - left.series;
    Some([left, right])
}

#[cfg(test)]
mod tests {
    use super::{Found, Pieces, halves};
    use crate::Payload;
    use proptest::prelude::*;

    /// Each byte is a series.
    fn payload(bytes: &[u8]) -> Payload {
        Payload::new(bytes.to_vec(), bytes.len())
    }

    fn cut(of: &Payload) -> Option<[Payload; 2]> {
        let (left, right) = of.body.split_at_checked(of.body.len().div_ceil(2))?;
        halves(of, (!right.is_empty()).then(|| [payload(left), payload(right)]))
    }

    /// Sends at most `most` pieces to a receiver that rejects every body with a `b`, and returns
    /// what was accepted.
    fn send(pieces: &mut Pieces, most: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while let Some(piece) = pieces.next(pieces.requests() >= most) {
            if piece.body.contains(&b'b') {
                let halves = cut(&piece);
                pieces.refused(piece, halves, "bad".to_owned());
            } else {
                pieces.taken();
                taken.extend(piece.body);
            }
        }
        taken
    }

    /// Sends a payload whose first request was rejected. Returns what was accepted, what was found,
    /// and the number of requests.
    fn play(bytes: &[u8], refused_whole: u32) -> (Vec<u8>, Found, usize) {
        let whole = payload(bytes);
        let mut pieces = Pieces::of(&whole, cut(&whole).unwrap(), refused_whole);
        let taken = send(&mut pieces, usize::MAX);
        let requests = pieces.requests();
        (taken, pieces.found("whole"), requests)
    }

    fn bad(found: &Found) -> usize {
        match found {
            Found::Nothing => panic!("nothing was accepted"),
            Found::Bad(bad) => {
                assert!(bad.iter().all(|(piece, why)| piece.body == b"b" && why == "bad"));
                bad.len()
            }
        }
    }

    #[test]
    fn one_bad_series_is_found_in_few_requests() {
        for n in [2, 3, 21, 300] {
            for at in 0..n {
                let mut bytes = vec![b'g'; n];
                bytes[at] = b'b';
                let (taken, found, requests) = play(&bytes, 0);
                assert_eq!((taken.len(), bad(&found)), (n - 1, 1), "{at} of {n}");
                assert!(requests <= 2 * n.ilog2() as usize + 2, "{requests} for {at} of {n}");
            }
        }
    }

    #[test]
    fn many_bad_series_are_found_among_good_ones() {
        for bytes in
            [b"bg".repeat(150), b"bbbg".repeat(75), [b"b".repeat(150), b"g".repeat(150)].concat()]
        {
            let (taken, found, requests) = play(&bytes, 0);
            let good = bytes.iter().filter(|byte| **byte == b'g').count();
            assert_eq!((taken.len(), bad(&found)), (good, 300 - good));
            assert!(requests < 600, "{requests}");
        }
    }

    #[test]
    fn every_piece_is_tried_even_if_a_series_is_split() {
        let mut whole = payload(&[&[b'b'; 10][..], &[b'g'; 7]].concat());
        whole.series = 9;
        let mut pieces = Pieces::of(&whole, cut(&whole).unwrap(), 0);
        let taken = send(&mut pieces, usize::MAX).len();
        assert_eq!((taken, bad(&pieces.found("whole"))), (7, 10));
    }

    #[test]
    fn a_receiver_that_rejects_everything_costs_few_requests() {
        for (n, most) in [(2, 2), (21, 20), (300, 36), (100_000, 68)] {
            let bytes = b"b".repeat(n);
            let (taken, found, requests) = play(&bytes, 0);
            assert_eq!((taken.len(), found), (0, Found::Nothing));
            assert!(requests <= most, "{requests} for {n}");
            // Each further payload costs half as many requests.
            assert!(play(&bytes, 1).2 <= most.div_ceil(2).max(2));
            assert_eq!([6, 31, 64, u32::MAX].map(|before| play(&bytes, before).2), [2; 4]);
        }
    }

    #[test]
    fn pieces_without_time_count_as_rejected() {
        for in_time in 0..40 {
            let whole = payload(&b"bg".repeat(20));
            let mut pieces = Pieces::of(&whole, cut(&whole).unwrap(), 0);
            let taken = send(&mut pieces, in_time).len();
            assert!(pieces.requests() <= in_time);
            match pieces.found("whole") {
                Found::Nothing => assert_eq!(taken, 0),
                Found::Bad(bad) => {
                    let rest: usize = bad.iter().map(|(piece, _)| piece.body.len()).sum();
                    assert_eq!(taken + rest, 40);
                }
            }
        }
    }

    #[test]
    fn a_backend_that_splits_badly_causes_no_endless_loop() {
        let whole = payload(b"bbbb");
        assert_eq!(halves(&whole, Some([whole.clone(), payload(b"")])), None);
        let [left, right] = halves(&whole, Some([payload(b"bb"), payload(b"")])).unwrap();
        assert_eq!((left.series, right.series), (2, 2));
    }

    proptest! {
        #[test]
        fn every_series_is_accepted_once_or_reported(
            bytes in prop::collection::vec(prop::sample::select(b"gggggggb".to_vec()), 2..200),
        ) {
            prop_assume!(bytes.contains(&b'b') && bytes.contains(&b'g'));
            let (taken, found, requests) = play(&bytes, 0);
            let good = bytes.iter().filter(|byte| **byte == b'g').count();
            prop_assert_eq!(taken.len(), good);
            let k = bad(&found);
            prop_assert_eq!(k, bytes.len() - good);
            prop_assert!(requests <= 2 * k * (bytes.len().ilog2() as usize + 1));
        }
    }
}
