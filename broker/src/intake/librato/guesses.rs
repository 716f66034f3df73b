//! Wrong credentials by the address from which they came.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Number of wrong guesses of an address after which all its requests wait.
const MANY: u32 = 10;

/// For how long guesses are remembered.
const KEPT: Duration = Duration::from_secs(60);

/// Maximum number of addresses that are remembered.
const MAX_ADDRESSES: usize = 10_000;

/// The recent wrong guesses.
#[derive(Debug, Default)]
pub(super) struct Guesses(HashMap<IpAddr, Wrong>);

#[derive(Debug, Clone, Copy)]
struct Wrong {
    count: u32,
    last: Instant,
}

impl Guesses {
    /// Whether requests of this address wait before their credentials are looked at. Right and wrong
    /// ones do, so that a guesser cannot tell them apart sooner.
    pub(super) fn must_wait(&self, address: IpAddr, now: Instant) -> bool {
        self.0.get(&address).is_some_and(|wrong| wrong.count >= MANY && wrong.is_recent(now))
    }

    /// Remembers a wrong guess.
    pub(super) fn add(&mut self, address: IpAddr, now: Instant) {
        if self.0.len() >= MAX_ADDRESSES && !self.0.contains_key(&address) {
            self.0.retain(|_, wrong| wrong.is_recent(now));
            if self.0.len() >= MAX_ADDRESSES {
                let oldest = self.0.iter().min_by_key(|(_, wrong)| wrong.last).map(|(ip, _)| *ip);
                oldest.and_then(|oldest| self.0.remove(&oldest));
            }
        }
        let wrong = self.0.entry(address).or_insert(Wrong { count: 0, last: now });
        let before = if wrong.is_recent(now) { wrong.count } else { 0 };
        *wrong = Wrong { count: before.saturating_add(1), last: now };
    }
}

impl Wrong {
    fn is_recent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < KEPT
    }
}

#[cfg(test)]
mod tests {
    use super::{Guesses, KEPT, MANY, MAX_ADDRESSES};
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::{Duration, Instant};

    fn address(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(n).into()
    }

    #[test]
    fn an_address_with_many_wrong_guesses_waits_until_they_are_old() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        for _ in 0..MANY {
            assert!(!guesses.must_wait(address(1), now));
            guesses.add(address(1), now);
        }
        assert!(guesses.must_wait(address(1), now) && !guesses.must_wait(address(2), now));
        let later = now + KEPT;
        assert!(!guesses.must_wait(address(1), later));
        guesses.add(address(1), later);
        assert!(!guesses.must_wait(address(1), later), "old guesses do not count");
    }

    #[test]
    fn addresses_are_bounded_and_the_oldest_is_forgotten() {
        let (mut guesses, now) = (Guesses::default(), Instant::now());
        for n in 0..MAX_ADDRESSES as u32 + 10 {
            guesses.add(address(n), now + Duration::from_micros(n.into()));
        }
        assert_eq!(guesses.0.len(), MAX_ADDRESSES);
        assert!(!guesses.0.contains_key(&address(0)));
    }
}
