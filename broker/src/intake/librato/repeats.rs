//! Requests that clients send again, because they got no answer: a request with the `Idempotency-Key`
//! of an earlier one is answered like that one, and its measurements are not added again.

use super::answer::Answer;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Maximum number of keys that are remembered. Later ones take the place of the oldest.
const MOST: usize = 10_000;

/// Maximum length of a key. A longer one is ignored.
const MAX_KEY: usize = 300;

/// The key of a request, and the machine that sent it: two workers may have the same name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RequestKey {
    sender: IpAddr,
    key: Box<str>,
}

impl RequestKey {
    /// The key in the header of a request; `None` if it is empty or too long.
    pub(super) fn of(sender: IpAddr, key: &str) -> Option<Self> {
        (1..=MAX_KEY).contains(&key.len()).then(|| Self { sender, key: Box::from(key) })
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
        while self.order.len() >= MOST {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(answer) = self.answers.remove(&oldest) {
                self.bytes -= size(&oldest, &answer);
            }
        }
        let bytes = size(&key, &answer);
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
    use super::{Answer, MOST, Repeats, RequestKey};
    use std::net::IpAddr;

    fn key(sender: [u8; 4], key: &str) -> RequestKey {
        RequestKey::of(IpAddr::from(sender), key).unwrap()
    }

    #[test]
    fn a_key_belongs_to_one_machine_and_has_a_limited_length() {
        let mut repeats = Repeats::default();
        repeats.remember(key([127, 0, 0, 1], "w/1+1/0-a"), Answer::empty(200));
        assert_eq!(repeats.answer(&key([127, 0, 0, 1], "w/1+1/0-a")), Some(&Answer::empty(200)));
        assert_eq!(repeats.answer(&key([127, 0, 0, 2], "w/1+1/0-a")), None);
        let of = |key: &str| RequestKey::of(IpAddr::from([127, 0, 0, 1]), key);
        assert!(of("").is_none() && of(&"x".repeat(301)).is_none());
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
}
