//! Finds the series for which a payload was refused: it is cut in halves until they stand alone.
//!
//! Pure: what is sent, and what the far side said, are arguments and results.
//!
//! `k` bad series among `n` cost about `2 k log n` requests. A far side that refuses everything,
//! such as the wrong account, must not cost `n` of them: as long as it has taken nothing, there is
//! a budget. The first half of the budget goes to the largest pieces, which finds out whether the
//! bad series stand together; the second half to the smallest, which finds out whether there are
//! good ones between many bad ones.

use crate::Payload;
use std::collections::VecDeque;

/// How many requests for each level of halving are made while nothing has been taken.
const REQUESTS_PER_LEVEL: usize = 2;

/// The pieces of one payload that was refused.
#[derive(Debug)]
pub(super) struct Pieces {
    /// Those that are still to be sent.
    open: VecDeque<Payload>,
    /// Those that were refused and cannot be cut, with what the far side said.
    alone: Vec<(Payload, String)>,
    requests: usize,
    taken: bool,
    /// How many requests the largest pieces get, and how many there are for all, while nothing was
    /// taken.
    wide: usize,
    budget: usize,
    /// How many there are at most, whatever a backend does when it cuts. A series may be cut too:
    /// a timer of Carbon's is several lines.
    most: usize,
}

/// What became of the pieces.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing was taken: the far side does not refuse single series, but all of them.
    Nothing,
    /// Everything was taken but these, with what the far side said of each.
    Bad(Vec<(Payload, String)>),
}

impl Pieces {
    /// The halves of a payload that was refused. `refused_whole` payloads before it were refused in
    /// all their parts: each of them halves what is spent on this one, down to two requests.
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

    /// The next piece to send; `None` when there is no more to find out, or no time for it.
    pub(super) fn next(&mut self, is_late: bool) -> Option<Payload> {
        if is_late || self.requests >= self.most || (!self.taken && self.requests >= self.budget) {
            return None;
        }
        let largest = !self.taken && self.requests < self.wide;
        let piece = if largest { self.open.pop_front() } else { self.open.pop_back() }?;
        self.requests += 1;
        Some(piece)
    }

    /// The last piece was taken.
    pub(super) const fn taken(&mut self) {
        self.taken = true;
    }

    /// The last piece was refused; `halves` are its own, if it can be cut.
    pub(super) fn refused(&mut self, piece: Payload, halves: Option<[Payload; 2]>, why: String) {
        match halves {
            Some(halves) => self.open.extend(halves),
            None => self.alone.push((piece, why)),
        }
    }

    /// How many pieces were sent.
    pub(super) const fn requests(&self) -> usize {
        self.requests
    }

    /// What was found out. `why` is what the far side said of the whole.
    pub(super) fn found(mut self, why: &str) -> Found {
        if !self.taken {
            return Found::Nothing;
        }
        // Those for which there was no time, or which a backend has cut otherwise than in halves.
        self.alone.extend(self.open.into_iter().map(|piece| (piece, why.to_owned())));
        Found::Bad(self.alone)
    }
}

/// The halves that a backend has made of a payload, if each of them is less than the whole. Their
/// series are as many as the payload's.
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

    /// A series is a byte.
    fn payload(bytes: &[u8]) -> Payload {
        Payload::new(bytes.to_vec(), bytes.len())
    }

    fn cut(of: &Payload) -> Option<[Payload; 2]> {
        let (left, right) = of.body.split_at_checked(of.body.len().div_ceil(2))?;
        halves(of, (!right.is_empty()).then(|| [payload(left), payload(right)]))
    }

    /// Sends pieces, so many at most, to a far side that refuses every body with a `b` in it, and
    /// returns what was taken.
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

    /// Sends a payload whose first request was refused. What was taken, what was found, and how many
    /// requests that took.
    fn play(bytes: &[u8], refused_whole: u32) -> (Vec<u8>, Found, usize) {
        let whole = payload(bytes);
        let mut pieces = Pieces::of(&whole, cut(&whole).unwrap(), refused_whole);
        let taken = send(&mut pieces, usize::MAX);
        let requests = pieces.requests();
        (taken, pieces.found("whole"), requests)
    }

    fn bad(found: &Found) -> usize {
        match found {
            Found::Nothing => panic!("nothing was taken"),
            Found::Bad(bad) => {
                assert!(bad.iter().all(|(piece, why)| piece.body == b"b" && why == "bad"));
                bad.len()
            }
        }
    }

    #[test]
    fn one_bad_series_stands_alone_after_a_few_requests_wherever_it_is() {
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
    fn a_series_that_is_cut_too_leaves_no_piece_untried() {
        let mut whole = payload(&[&[b'b'; 10][..], &[b'g'; 7]].concat());
        whole.series = 9;
        let mut pieces = Pieces::of(&whole, cut(&whole).unwrap(), 0);
        let taken = send(&mut pieces, usize::MAX).len();
        assert_eq!((taken, bad(&pieces.found("whole"))), (7, 10));
    }

    #[test]
    fn a_far_side_that_refuses_everything_costs_few_requests() {
        for (n, most) in [(2, 2), (21, 20), (300, 36), (100_000, 68)] {
            let bytes = b"b".repeat(n);
            let (taken, found, requests) = play(&bytes, 0);
            assert_eq!((taken.len(), found), (0, Found::Nothing));
            assert!(requests <= most, "{requests} for {n}");
            // Each further payload costs half as many.
            assert!(play(&bytes, 1).2 <= most.div_ceil(2).max(2));
            assert_eq!([6, 31, 64, u32::MAX].map(|before| play(&bytes, before).2), [2; 4]);
        }
    }

    #[test]
    fn what_there_is_no_time_for_is_among_the_bad() {
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
    fn a_backend_that_cuts_badly_ends_nothing_in_a_loop() {
        let whole = payload(b"bbbb");
        assert_eq!(halves(&whole, Some([whole.clone(), payload(b"")])), None);
        let [left, right] = halves(&whole, Some([payload(b"bb"), payload(b"")])).unwrap();
        assert_eq!((left.series, right.series), (2, 2));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_taken_twice(
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
