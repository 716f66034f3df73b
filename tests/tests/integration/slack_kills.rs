//! What the tests that kill relays share: lines for a channel, and the moments of kills.

use zibrato::clock::unix_ms;
use zibrato_tests::DEADLINE;
use zibrato_tests::fake::FakeSlack;

/// A relay makes about so many calls for the messages between two kills: it looks for the channel,
/// reads it, and deletes them.
const MOST_CALLS: u64 = 6;

/// The number of kills and of lines: few, or the kills of `ZIBRATO_RELAY_KILLS` and 10,000 lines.
pub(crate) fn kills_and_lines(few: usize) -> (usize, usize) {
    let kills = std::env::var("ZIBRATO_RELAY_KILLS").ok().and_then(|text| text.parse().ok());
    let kills = kills.unwrap_or(few);
    (kills, if kills > few { 10_000 } else { 1_000 })
}

/// Posts lines `k.n0 0 TIME`, `k.n1 3 TIME` and so on.
pub(crate) struct Feed<'a> {
    fake: &'a FakeSlack,
    /// The time of all lines.
    pub(crate) time: u64,
    next: usize,
    messages: usize,
    dice: Dice,
}

impl<'a> Feed<'a> {
    pub(crate) fn new(fake: &'a FakeSlack) -> Self {
        Self { fake, time: unix_ms() / 1000, next: 0, messages: 0, dice: Dice::new() }
    }

    /// Posts the lines up to this one, 40 in a message.
    pub(crate) fn post(&mut self, until: usize) {
        while self.next < until {
            let to = (self.next + 40).min(until);
            let lines = (self.next..to).map(|i| format!("k.n{i} {} {}", i * 3, self.time));
            let text = lines.collect::<Vec<_>>().join("\n");
            self.fake.post_as(FakeSlack::TOKEN, FakeSlack::CHANNEL, &text);
            (self.next, self.messages) = (to, self.messages + 1);
        }
    }

    /// Waits until a relay has made a random number of calls, or has nothing to do.
    pub(crate) fn random_moment(&mut self) {
        let calls = self.fake.requests().len() + self.dice.roll(MOST_CALLS + 1) - 1;
        let messages = self.messages;
        let done = self.fake.wait_until(
            |state| state.requests.len() >= calls || state.deleted >= messages,
            DEADLINE,
        );
        done.unwrap();
    }
}

/// Random numbers that differ from run to run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new() -> Self {
        Self(u64::from(std::process::id()))
    }

    /// A number from 1 to `most`.
    pub(crate) fn roll(&mut self, most: u64) -> usize {
        let Self(state) = self;
        *state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((*state >> 33) % most + 1).unwrap()
    }
}
