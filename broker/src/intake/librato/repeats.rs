//! Requests that clients send again, because they got no answer: a request that equals an earlier one
//! and has its `Idempotency-Key` is answered like that one, and its measurements are not added again.
//!
//! Only equal requests are repeats. Clients behind a proxy have one address, and two of them may use
//! the same key.

use super::answer::Answer;
use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;

/// Maximum number of keys that are remembered. Later ones take the place of the oldest.
const MOST: usize = 10_000;

/// Maximum memory for keys and answers, in bytes. The oldest make room.
const MOST_BYTES: usize = 8 << 20;

/// Maximum length of a key. A longer one is ignored.
const MAX_KEY: usize = 300;

/// The key of a request, and what distinguishes requests with the same key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RequestKey {
    sender: IpAddr,
    key: Box<str>,
    /// A hash of the path and the credentials.
    scope: u64,
    body_bytes: usize,
    body_crc: u32,
}

impl RequestKey {
    /// The key in the header of a request, without its body; `None` if it is empty or too long.
    pub(super) fn of(
        sender: IpAddr,
        key: &str,
        path: &str,
        credentials: Option<&[u8]>,
    ) -> Option<Self> {
        let mut scope = DefaultHasher::new();
        (path, credentials).hash(&mut scope);
        (1..=MAX_KEY).contains(&key.len()).then(|| Self {
            sender,
            key: Box::from(key),
            scope: scope.finish(),
            body_bytes: 0,
            body_crc: 0,
        })
    }

    /// The same with the body of the request.
    pub(super) fn with_body(mut self, body: &[u8]) -> Self {
        self.body_bytes = body.len();
        self.body_crc = crc32fast::hash(body);
        self
    }
}

/// The keys of requests whose measurements were added, with their answers.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    answers: HashMap<RequestKey, Answer>,
    order: VecDeque<RequestKey>,
    /// Approximate memory.
    bytes: usize,
}

impl Repeats {
    /// The answer to an earlier request with this key.
    pub(super) fn answer(&self, key: &RequestKey) -> Option<&Answer> {
        self.answers.get(key)
    }

    /// Remembers the answer to a request.
    pub(super) fn remember(&mut self, key: RequestKey, answer: Answer) {
        let bytes = size(&key, &answer);
        while self.order.len() >= MOST || self.bytes + bytes > MOST_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(answer) = self.answers.remove(&oldest) {
                self.bytes -= size(&oldest, &answer);
            }
        }
        if bytes > MOST_BYTES {
            return;
        }
        if self.answers.insert(key.clone(), answer).is_none() {
            self.bytes += bytes;
            self.order.push_back(key);
        }
    }

    /// Approximate memory, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Both copies of a key, an answer, and what the tables need for them.
fn size(key: &RequestKey, answer: &Answer) -> usize {
    2 * (key.key.len() + size_of::<RequestKey>()) + answer.body.len() + size_of::<Answer>() + 16
}

#[cfg(test)]
mod tests {
    use super::{Answer, MOST, MOST_BYTES, Repeats, RequestKey};
    use std::net::IpAddr;

    fn key(sender: [u8; 4], key: &str) -> RequestKey {
        RequestKey::of(IpAddr::from(sender), key, "/v1/metrics", None).unwrap()
    }

    #[test]
    fn only_an_equal_request_is_a_repeat() {
        let of = |sender: [u8; 4], path: &str, credentials: &[u8], body: &[u8]| {
            let key = RequestKey::of(sender.into(), "w/1+1/0-a", path, Some(credentials));
            key.unwrap().with_body(body)
        };
        let first = of([127, 0, 0, 1], "/v1/metrics", b"ann", b"{}");
        let mut repeats = Repeats::default();
        repeats.remember(first.clone(), Answer::empty(200));
        assert_eq!(repeats.answer(&first), Some(&Answer::empty(200)));
        for other in [
            of([127, 0, 0, 2], "/v1/metrics", b"ann", b"{}"),
            of([127, 0, 0, 1], "/v1/measurements", b"ann", b"{}"),
            of([127, 0, 0, 1], "/v1/metrics", b"bob", b"{}"),
            of([127, 0, 0, 1], "/v1/metrics", b"ann", b"{} "),
            of([127, 0, 0, 1], "/v1/metrics", b"ann", b"[]"),
        ] {
            assert_eq!(repeats.answer(&other), None, "{other:?}");
        }
    }

    #[test]
    fn keys_have_a_limited_length() {
        let of = |key: &str| RequestKey::of(IpAddr::from([127, 0, 0, 1]), key, "/", None);
        assert!(of("").is_none() && of(&"x".repeat(301)).is_none());
        assert!(of(&"x".repeat(300)).is_some());
    }

    #[test]
    fn keys_are_bounded_and_the_oldest_are_forgotten() {
        let mut repeats = Repeats::default();
        let nth = |n: usize| key([10, 0, 0, 1], &format!("{n:06}"));
        (0..MOST).for_each(|n| repeats.remember(nth(n), Answer::empty(200)));
        let full = repeats.bytes();
        (0..2 * MOST).for_each(|n| repeats.remember(nth(n), Answer::empty(200)));
        assert_eq!((repeats.bytes(), repeats.order.len()), (full, MOST));
        assert!(repeats.answer(&nth(MOST)).is_some() && repeats.answer(&nth(MOST - 1)).is_none());
    }

    #[test]
    fn answers_are_bounded_in_bytes() {
        let mut repeats = Repeats::default();
        let long = Answer::error(400, &"x".repeat(MOST_BYTES / 4));
        for n in 0..10 {
            repeats.remember(key([10, 0, 0, 1], &n.to_string()), long.clone());
            assert!(repeats.bytes() <= MOST_BYTES);
        }
        assert!(repeats.answer(&key([10, 0, 0, 1], "9")).is_some());
        assert!(repeats.answer(&key([10, 0, 0, 1], "0")).is_none());
        let too_long = Answer::error(400, &"x".repeat(MOST_BYTES));
        repeats.remember(key([10, 0, 0, 1], "long"), too_long);
        assert!(repeats.answer(&key([10, 0, 0, 1], "long")).is_none());
        assert!(repeats.bytes() <= MOST_BYTES);
    }
}
