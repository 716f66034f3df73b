//! From the fields of a request to readings, or to all faults in them.
//!
//! As in Librato's API, a request with an invalid measurement is refused as a whole, so that a client can
//! correct it and send it again.
//!
//! Pure: takes times, opens nothing.

use super::faults::Faults;
use super::names::{legal_name, legal_tag, legal_tag_value};
use super::payload::{Entry, List, Payload, Tags};
use super::scalar::Scalar;
use std::borrow::Cow;
use zibrato::Gauge;
use zibrato::wire::MAX_TAGS;

/// How far the time of a reading may be ahead of the broker's clock, in seconds.
pub(super) const MAX_AHEAD: u64 = 300;

/// The largest count of a summary: up to it, doubles have all whole numbers.
const MAX_COUNT: f64 = 9_007_199_254_740_992.0;

/// When times are acceptable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) now_ms: u64,
    /// Maximum age, in seconds.
    pub(super) max_age: u64,
}

/// A valid measurement.
#[derive(Debug, PartialEq)]
pub(super) struct Reading<'a> {
    pub(super) name: Cow<'a, str>,
    /// The source, if the client gives one.
    pub(super) source: Option<Cow<'a, str>>,
    /// Its tags, in the order of the request. `None` if those of the request apply.
    pub(super) tags: Option<TagList<'a>>,
    pub(super) value: Measured,
    /// In Unix milliseconds.
    pub(super) at_ms: u64,
    /// In seconds.
    pub(super) period: Option<f64>,
    pub(super) display_name: Option<&'a str>,
    pub(super) description: Option<&'a str>,
}

/// Tags without `source` and `host`.
pub(super) type TagList<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Measured {
    /// One or several readings.
    Gauge(Gauge),
    /// The total of a counter since its start.
    Total(f64),
}

/// The measurements of a request.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Readings<'a> {
    pub(super) all: Vec<Reading<'a>>,
    /// The tags of measurements that have none.
    pub(super) tags: TagList<'a>,
}

/// Checks all measurements.
///
/// # Errors
/// All faults.
pub(super) fn check<'a>(payload: &'a Payload<'_>, clock: Clock) -> Result<Readings<'a>, Faults> {
    let mut faults = Faults::default();
    let mut checking = Checking { clock, faults: &mut faults, label: "request" };
    let common = &payload.common;
    let mut all = Vec::with_capacity(payload.len());
    let at_ms = checking.time(&common.time, clock.now_ms);
    let (tags, tag_source) = checking.tags(&common.tags).unwrap_or_default();
    let source = checking.text("source", "source", &common.source);
    let source = source.map(legal_name).or(tag_source);
    let period = checking.period(&common.more().period);
    let defaults = Defaults { source, at_ms, period };
    for (list, List { entries, is_wrong, .. }) in payload.lists() {
        if *is_wrong {
            faults.add(list, "type", format!("{list}: is neither a list nor an object"));
        }
        for (at, entry) in entries.iter().enumerate() {
            let label = label(list, at, entry);
            let mut checking = Checking { clock, faults: &mut faults, label: &label };
            all.extend(checking.reading(list == "counters", entry, &defaults));
        }
    }
    if faults.is_empty() { Ok(Readings { all, tags }) } else { Err(faults) }
}

/// A time in seconds, as Unix milliseconds; or what is wrong with it.
pub(super) fn time_ms(time: f64, clock: Clock) -> Result<u64, &'static str> {
    let Clock { now_ms, max_age } = clock;
    let now = now_ms / 1_000;
    match time {
        // Times are whole seconds; the fraction that some clients send means nothing.
        time if time < now.saturating_sub(max_age) as f64 => Err("is too far in the past"),
        time if time >= (now + MAX_AHEAD + 1) as f64 => Err("is too far in the future"),
        time => Ok(time as u64 * 1_000),
    }
}

/// How a measurement is called in errors: by its name, or by its place.
fn label<'a>(list: &str, at: usize, entry: &'a Entry<'_>) -> Cow<'a, str> {
    let name = entry.name.text().ok().flatten().or(entry.key.as_deref());
    name.map_or_else(|| format!("{list}[{at}]").into(), Cow::Borrowed)
}

/// What applies to a measurement that does not say it.
struct Defaults<'a> {
    source: Option<Cow<'a, str>>,
    at_ms: u64,
    period: Option<f64>,
}

/// The check of one measurement.
struct Checking<'f> {
    clock: Clock,
    faults: &'f mut Faults,
    label: &'f str,
}

impl Checking<'_> {
    /// `None` if there is a fault, which is added.
    fn reading<'a>(
        &mut self,
        is_counter: bool,
        entry: &'a Entry<'_>,
        defaults: &Defaults<'a>,
    ) -> Option<Reading<'a>> {
        if entry.is_wrong {
            return self.fault("type", "is not an object");
        }
        let name = match entry.name.text() {
            Ok(name) => name.or(entry.key.as_deref()).filter(|name| !name.is_empty()),
            Err(_) => return self.fault("name", "name: is not a text"),
        };
        let Some(name) = name else { return self.fault("name", "name: is missing") };
        let at_ms = self.time(&entry.time, defaults.at_ms);
        let value = if is_counter { self.total(entry) } else { self.gauge(entry, at_ms) };
        let (tags, tag_source) = self.tags(&entry.tags).unzip();
        let source = self.text("source", "source", &entry.source).map(legal_name);
        let source = source.or(tag_source.flatten()).or_else(|| defaults.source.clone());
        let period = self.period(&entry.more().period).or(defaults.period);
        let display_name = self.text("type", "display_name", &entry.more().display_name);
        let description = self.text("type", "description", &entry.more().description);
        let (name, value) = (legal_name(name), value?);
        Some(Reading { name, source, tags, value, at_ms, period, display_name, description })
    }

    fn fault<T>(&mut self, reason: &'static str, why: &str) -> Option<T> {
        self.faults.add(self.label, reason, why);
        None
    }

    /// A field with a number.
    fn number(&mut self, field: &str, of: &Scalar<'_>) -> Option<f64> {
        match of.number() {
            Ok(number) => number,
            Err(_) => self.fault("value", &format!("{field}: is not a number")),
        }
    }

    fn text<'a>(
        &mut self,
        reason: &'static str,
        field: &str,
        of: &'a Scalar<'_>,
    ) -> Option<&'a str> {
        match of.text() {
            Ok(text) => text,
            Err(_) => self.fault(reason, &format!("{field}: is not a text")),
        }
    }

    fn period(&mut self, period: &Scalar<'_>) -> Option<f64> {
        match period.number() {
            Ok(period) if period.is_none_or(|period| period >= 0.0) => period,
            Ok(_) | Err(_) => self.fault("type", "period: is not a number of seconds"),
        }
    }

    /// The time in Unix milliseconds; `default_ms` if there is none or it is wrong.
    fn time(&mut self, time: &Scalar<'_>, default_ms: u64) -> u64 {
        let wrong = match time.number() {
            Ok(None) => return default_ms,
            Err(_) => "is not a number of seconds since 1970",
            Ok(Some(time)) => match time_ms(time, self.clock) {
                Ok(at_ms) => return at_ms,
                Err(wrong) => wrong,
            },
        };
        self.faults.add(self.label, "time", format!("measure_time: {wrong}"));
        default_ms
    }

    fn total(&mut self, entry: &Entry<'_>) -> Option<Measured> {
        let before = self.faults.count();
        let total = self.number("value", &entry.value);
        if self.faults.count() > before {
            return None;
        }
        match total {
            Some(total) if total >= 0.0 => Some(Measured::Total(total)),
            Some(_) => self.fault("value", "value: of a counter is negative"),
            None => self.fault("value", "value: is missing"),
        }
    }

    /// One reading, or a summary of several: count and sum, and the rest of it.
    fn gauge(&mut self, entry: &Entry<'_>, at_ms: u64) -> Option<Measured> {
        let (before, more) = (self.faults.count(), entry.more());
        let [value, count, sum] =
            [("value", &entry.value), ("count", &more.count), ("sum", &more.sum)]
                .map(|(field, scalar)| self.number(field, scalar));
        let [min, max, last] = [("min", &more.min), ("max", &more.max), ("last", &more.last)]
            .map(|(field, scalar)| self.number(field, scalar));
        for (field, scalar) in [("sum_squares", &more.sum_squares), ("stddev", &more.stddev)] {
            if self.number(field, scalar).is_some_and(|number| number < 0.0) {
                return self.fault("value", &format!("{field}: is negative"));
            }
        }
        if self.faults.count() > before {
            return None;
        }
        let (count, sum) = match (value, count, sum) {
            (Some(value), None, None) => {
                return Some(Measured::Gauge(Gauge::reading(value, at_ms)));
            }
            (None, Some(count), Some(sum)) => (count, sum),
            (None, None, None) => {
                return self.fault("value", "value: is missing, and so are count and sum");
            }
            (Some(_), _, _) => {
                return self.fault("value", "value: cannot be given together with count or sum");
            }
            (None, _, _) => return self.fault("value", "count and sum: must be given together"),
        };
        if count.fract() != 0.0 || !(1.0..=MAX_COUNT).contains(&count) {
            return self.fault("value", "count: is not a whole number above 0");
        }
        let mean = sum / count;
        let (min, max) = (min.unwrap_or(mean), max.unwrap_or(mean));
        if min > max {
            return self.fault("value", "min: is larger than max");
        }
        // It may contradict the others, as in an example of the API's own documentation.
        let last = last.unwrap_or(mean);
        Some(Measured::Gauge(Gauge::folded(last, at_ms, count as u64, sum, min, max)))
    }

    /// The tags, and the source that the tag `source`, or else `host`, gives. `None` if there are none.
    fn tags<'a>(&mut self, tags: &'a Tags<'_>) -> Option<(TagList<'a>, Option<Cow<'a, str>>)> {
        let given = match tags {
            Tags::Absent => return None,
            Tags::Wrong => return self.fault("tags", "tags: are not an object"),
            Tags::Given(given) => given,
        };
        let (mut all, mut source, mut host) = (TagList::new(), None, None);
        for (tag, value) in given {
            let (tag, value) = match value.word() {
                Ok(Some(value)) if !tag.is_empty() => (&**tag, value),
                Ok(_) => return self.fault("tags", &format!("tags: {tag}: is empty")),
                Err(_) => return self.fault("tags", &format!("tags: {tag}: is not a text")),
            };
            match tag {
                "source" => source = Some(legal(value, legal_name)),
                "host" => host = Some(legal(value, legal_name)),
                _ => add(&mut all, legal_tag(tag), legal(value, legal_tag_value)),
            }
        }
        if all.len() > MAX_TAGS {
            return self.fault("tags", &format!("tags: are more than {MAX_TAGS}"));
        }
        Some((all, source.or(host)))
    }
}

/// Adds a tag. Of several that became the same, the last one counts.
fn add<'a>(all: &mut TagList<'a>, tag: Cow<'a, str>, value: Cow<'a, str>) {
    match all.iter_mut().find(|(other, _)| *other == tag) {
        Some((_, old)) => *old = value,
        None => all.push((tag, value)),
    }
}

/// Makes a text legal that may be owned.
fn legal<'a>(text: Cow<'a, str>, legal: fn(&str) -> Cow<'_, str>) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => legal(text),
        Cow::Owned(text) => Cow::Owned(legal(&text).into_owned()),
    }
}

#[cfg(test)]
mod tests;
