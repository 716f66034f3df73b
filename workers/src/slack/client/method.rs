//! The methods of the API: how each is called, and how often it may be.
//!
//! Pure: times are arguments.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// Maximum number of lists of calls to remember. Channels to which one posts have one each.
const MAX_LISTS: usize = 1000;

/// The longest time between two calls of a method that Slack has slowed down.
const LONGEST_GAP: Duration = Duration::from_secs(300);

/// How the fields of a call are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Form,
    Json,
}

/// A method of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) body: Body,
    limit: Limit,
}

/// At most so many calls within a time. Slack counts calls by minutes and allows a little more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    calls: usize,
    within: Duration,
}

impl Limit {
    /// At most so many calls a minute.
    pub(super) const fn per_minute(calls: usize) -> Self {
        Self { calls, within: MINUTE }
    }
}

/// Slack's tiers, less a tenth: 20, 50 and 100 calls a minute.
const TIER_2: Limit = Limit::per_minute(18);
const TIER_3: Limit = Limit::per_minute(45);
const TIER_4: Limit = Limit::per_minute(90);
/// A message a second for each channel, or for each webhook.
const POSTS: Limit = Limit { calls: 1, within: Duration::from_secs(1) };

const fn form(name: &'static str, limit: Limit) -> Method {
    Method { name, body: Body::Form, limit }
}

const fn json(name: &'static str, limit: Limit) -> Method {
    Method { name, body: Body::Json, limit }
}

pub(super) const AUTH_TEST: Method = json("auth.test", TIER_4);
pub(super) const COMPLETE_UPLOAD: Method = form("files.completeUploadExternal", TIER_4);
pub(super) const DELETE: Method = form("chat.delete", TIER_3);
pub(super) const GET_UPLOAD_URL: Method = form("files.getUploadURLExternal", TIER_4);
pub(super) const HISTORY: Method = form("conversations.history", TIER_3);
pub(super) const INFO: Method = form("conversations.info", TIER_3);
pub(super) const JOIN: Method = form("conversations.join", TIER_3);
pub(super) const LIST: Method = form("conversations.list", TIER_2);
pub(super) const POST: Method = json("chat.postMessage", POSTS);
/// A request to the URL that the answer names, which has no published limit.
pub(super) const UPLOAD: Method = form("upload", TIER_4);
pub(super) const UPDATE: Method = json("chat.update", TIER_3);
pub(super) const USER: Method = form("users.info", TIER_4);
pub(super) const WEBHOOK: Method = json("webhook", POSTS);

/// The calls that were made, to stay below the limits.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    calls: BTreeMap<(&'static str, String), VecDeque<Instant>>,
    /// When Slack allows the next call of a method.
    allowed: BTreeMap<&'static str, Instant>,
    /// Limits other than those of the methods.
    limits: BTreeMap<&'static str, Limit>,
    /// For methods that Slack has refused: the longest time that it wanted between two calls.
    gaps: BTreeMap<&'static str, Duration>,
    /// Methods that may be called once in that time.
    slow: BTreeSet<&'static str>,
}

impl Pacer {
    /// Sets another limit for a method.
    pub(super) fn limit(&mut self, method: Method, limit: Limit) {
        self.limits.insert(method.name, limit);
    }

    /// Slack has refused the last call, and demands a wait.
    pub(super) fn hold(&mut self, method: Method, until: Instant) {
        let allowed = self.allowed.entry(method.name).or_insert(until);
        *allowed = until.max(*allowed);
        let calls = self.calls.get(&(method.name, String::new()));
        let earlier = calls.and_then(|calls| calls.iter().rev().nth(1));
        let gap = earlier.map_or(Duration::ZERO, |at| until.saturating_duration_since(*at));
        let known = self.gaps.entry(method.name).or_default();
        *known = gap.min(LONGEST_GAP).max(*known);
        let gap = *known;
        if self.is_slow(method) {
            self.limit(method, Limit { calls: 1, within: gap });
        }
    }

    /// From now on, a method is called only once in the time that Slack has asked for. Returns this time,
    /// or `None` if Slack has refused no call, or it is so already.
    pub(super) fn slow_down(&mut self, method: Method) -> Option<Duration> {
        let within = self.gaps.get(method.name).copied().filter(|gap| !gap.is_zero())?;
        self.slow.insert(method.name).then(|| {
            self.limit(method, Limit { calls: 1, within });
            within
        })
    }

    /// Whether a method was slowed down.
    pub(super) fn is_slow(&self, method: Method) -> bool {
        self.slow.contains(method.name)
    }

    /// The wait before the next call.
    pub(super) fn wait(&self, method: Method, part: &str, now: Instant) -> Duration {
        let mut at = self.allowed.get(method.name).map_or(now, |allowed| now.max(*allowed));
        let limit = self.limit_of(method);
        let calls = self.calls.get(&(method.name, part.to_owned()));
        if let Some(first) = calls.and_then(|calls| calls.iter().rev().nth(limit.calls - 1)) {
            at = at.max(*first + limit.within);
        }
        at.saturating_duration_since(now)
    }

    /// The limit of a method, of at least one call.
    fn limit_of(&self, method: Method) -> Limit {
        let limit = self.limits.get(method.name).copied().unwrap_or(method.limit);
        Limit { calls: limit.calls.max(1), ..limit }
    }

    /// Reserves the next call that is allowed, and returns the wait before it. `part` separates what
    /// has limits of its own, such as channels.
    pub(super) fn reserve(&mut self, method: Method, part: &str, now: Instant) -> Duration {
        if self.calls.len() >= MAX_LISTS {
            let is_recent = |last: &Instant| now.saturating_duration_since(*last) < MINUTE;
            self.calls.retain(|_, calls| calls.back().is_some_and(is_recent));
        }
        let (wait, most) = (self.wait(method, part, now), self.limit_of(method).calls);
        let calls = self.calls.entry((method.name, part.to_owned())).or_default();
        calls.drain(..calls.len().saturating_sub(most));
        calls.push_back(now + wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::{DELETE, HISTORY, Limit, POST, Pacer};
    use std::time::{Duration, Instant};

    #[test]
    fn calls_stay_below_the_limit_of_any_minute() {
        let (mut pacer, now) = (Pacer::default(), Instant::now());
        let waits: Vec<_> = (0..100).map(|_| pacer.reserve(DELETE, "", now).as_secs()).collect();
        assert_eq!((waits[44], waits[45], waits[89], waits[90]), (0, 60, 60, 120));
        // Other methods and parts are independent.
        assert_eq!(pacer.reserve(HISTORY, "", now), Duration::ZERO);
        let posts: Vec<_> = (0..3).map(|_| pacer.reserve(POST, "C1", now).as_secs()).collect();
        assert_eq!(posts, [0, 1, 2]);
        assert_eq!(pacer.reserve(POST, "C2", now), Duration::ZERO);
        let later = now + Duration::from_secs(10);
        assert_eq!(pacer.reserve(POST, "C1", later), Duration::ZERO);
    }

    #[test]
    fn a_wait_that_slack_asks_for_holds_all_calls_of_the_method() {
        let (mut pacer, now) = (Pacer::default(), Instant::now());
        let later = now + Duration::from_secs(30);
        pacer.hold(POST, later);
        pacer.hold(POST, now);
        assert_eq!(pacer.reserve(POST, "C1", now), Duration::from_secs(30));
        assert_eq!(pacer.reserve(POST, "C2", later), Duration::ZERO);
        pacer.limit(HISTORY, Limit::per_minute(1));
        assert_eq!(pacer.reserve(HISTORY, "", now), Duration::ZERO);
        assert_eq!(pacer.reserve(HISTORY, "", now), Duration::from_secs(60));
    }

    #[test]
    fn the_time_between_calls_is_learned_from_refusals() {
        let (mut pacer, begun) = (Pacer::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(pacer.slow_down(HISTORY), None);
        for call in [0, 10] {
            assert_eq!(pacer.reserve(HISTORY, "", at(call)), Duration::ZERO);
        }
        // A call after ten seconds is refused, and allowed after fifty more.
        pacer.hold(HISTORY, at(60));
        assert_eq!(pacer.wait(HISTORY, "", at(10)), Duration::from_secs(50));
        assert_eq!(pacer.slow_down(HISTORY), Some(Duration::from_secs(60)));
        assert!(pacer.is_slow(HISTORY) && pacer.slow_down(HISTORY).is_none());
        assert_eq!(pacer.reserve(HISTORY, "", at(70)), Duration::ZERO);
        assert_eq!(pacer.wait(HISTORY, "", at(71)), Duration::from_secs(59));
        assert_eq!(pacer.reserve(HISTORY, "", at(130)), Duration::ZERO);
        // That was still too soon.
        pacer.hold(HISTORY, at(135));
        assert_eq!(pacer.reserve(HISTORY, "", at(135)), Duration::from_secs(60));
        assert_eq!(pacer.reserve(DELETE, "", at(135)), Duration::ZERO);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut pacer, begun) = (Pacer::default(), Instant::now());
        for i in 0..5000_u64 {
            pacer.reserve(POST, &format!("C{i}"), begun + Duration::from_secs(i));
        }
        assert!(pacer.calls.len() <= super::MAX_LISTS, "{}", pacer.calls.len());
    }
}
