//! Times of the week in which alerts are silent, or mention nobody.
//!
//! Pure: times are arguments. The rules of time zones come from the system.

use super::pattern::Pattern;
use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

/// A time of the week.
#[derive(Debug, Clone)]
pub(super) struct Mute {
    /// The rules to which it applies, by name.
    pub(super) rules: Option<Pattern>,
    /// The days on which it begins; all if there are none.
    pub(super) days: Vec<Weekday>,
    pub(super) from: Time,
    /// If it is not after `from`, it is on the next day.
    pub(super) to: Time,
    /// Messages are sent, but mention nobody.
    pub(super) only_mentions: bool,
}

/// What is allowed at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Quiet {
    /// Messages and mentions.
    No,
    /// Messages without mentions.
    Mentions,
    /// Nothing.
    All,
}

/// The strictest of all that apply to a rule at a time (Unix milliseconds).
pub(super) fn quiet(mutes: &[Mute], zone: &TimeZone, rule: &str, at_ms: u64) -> Quiet {
    let applies = |mute: &&Mute| {
        mute.rules.as_ref().is_none_or(|rules| rules.matches(rule)) && mute.covers(zone, at_ms)
    };
    let level = |mute: &Mute| if mute.only_mentions { Quiet::Mentions } else { Quiet::All };
    mutes.iter().filter(applies).map(level).max().unwrap_or(Quiet::No)
}

impl Mute {
    fn covers(&self, zone: &TimeZone, at_ms: u64) -> bool {
        let at = i64::try_from(at_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let Some(at) = at.map(|at| at.to_zoned_datetime(zone.clone())) else { return false };
        let (time, today) = (at.time(), at.weekday());
        let begins_on = |day: Weekday| self.days.is_empty() || self.days.contains(&day);
        if self.from < self.to {
            return begins_on(today) && (self.from..self.to).contains(&time);
        }
        (begins_on(today) && time >= self.from) || (begins_on(today.previous()) && time < self.to)
    }
}

/// The days, by their first three letters.
pub(super) const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// A time of day such as `22:00`. `24:00` is midnight.
pub(super) fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let is_number = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(hour) || !is_number(minute) {
        return None;
    }
    let (hour, minute): (i8, i8) = (hour.parse().ok()?, minute.parse().ok()?);
    if (hour, minute) == (24, 0) {
        return Some(Time::midnight());
    }
    Time::new(hour, minute, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::{Mute, Quiet, quiet, time_of_day};
    use jiff::civil::Weekday;
    use jiff::tz::{TimeZone, offset};

    /// 2026-11-20 is a Friday.
    fn at(day: u64, hour: u64, minute: u64) -> u64 {
        1_795_132_800_000 + ((day - 20) * 1440 + hour * 60 + minute) * 60_000
    }

    fn mute(days: &[Weekday], from: &str, to: &str) -> Mute {
        let (from, to) = (time_of_day(from).unwrap(), time_of_day(to).unwrap());
        Mute { rules: None, days: days.to_vec(), from, to, only_mentions: false }
    }

    #[test]
    fn a_night_ends_on_the_next_day() {
        let night = [mute(&[Weekday::Friday], "22:00", "07:00")];
        for (time, expected) in [
            (at(20, 21, 59), Quiet::No),
            (at(20, 22, 0), Quiet::All),
            (at(21, 6, 59), Quiet::All),
            (at(21, 7, 0), Quiet::No),
            (at(20, 6, 0), Quiet::No), // Thursday's night is not mute
            (at(21, 22, 0), Quiet::No),
        ] {
            assert_eq!(quiet(&night, &TimeZone::UTC, "r", time), expected, "{time}");
        }
    }

    #[test]
    fn equal_times_are_a_whole_day_in_the_zone() {
        let day = [mute(&[Weekday::Saturday], "00:00", "24:00")];
        let east = TimeZone::fixed(offset(2));
        assert_eq!(quiet(&day, &east, "r", at(20, 22, 0)), Quiet::All);
        assert_eq!(quiet(&day, &east, "r", at(20, 21, 59)), Quiet::No);
        assert_eq!(quiet(&day, &east, "r", at(21, 22, 0)), Quiet::No);
    }

    #[test]
    fn the_strictest_applies() {
        let mentions = Mute { only_mentions: true, ..mute(&[], "00:00", "24:00") };
        let mutes = [mentions, mute(&[], "12:00", "13:00")];
        assert_eq!(quiet(&mutes, &TimeZone::UTC, "r", at(20, 12, 30)), Quiet::All);
        assert_eq!(quiet(&mutes, &TimeZone::UTC, "r", at(20, 13, 0)), Quiet::Mentions);
    }

    #[test]
    fn times_of_day_have_two_digits_each() {
        for bad in ["7:00", "07:0", "24:01", "25:00", "12:60", "noon", "", "1200", "+1:00"] {
            assert!(time_of_day(bad).is_none(), "{bad}");
        }
    }
}
