//! What packets should give where StatsD and bucky are not followed, and why. Independent of the
//! product.

use std::collections::{BTreeMap, BTreeSet};

/// The kinds of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Set,
    /// Also a histogram.
    Timer,
}

/// A series in one flush.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// Values, each with the number of samples for which it stands.
    values: Vec<(f64, f64)>,
    members: BTreeSet<String>,
    /// The reasons for which the result may differ from the recorded one.
    pub(super) reasons: BTreeSet<&'static str>,
}

/// The series since the last flush, by key and kind.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) series: BTreeMap<(String, Kind), Series>,
    /// The keys of lines or samples that are not read, and why.
    pub(super) rejected: BTreeMap<String, BTreeSet<&'static str>>,
    /// The keys of earlier flushes.
    pub(super) earlier: BTreeSet<(String, Kind)>,
    pub(super) gauges: BTreeMap<String, f64>,
}

pub(super) const FRACTIONS: &str = "counters keep fractions";
const TYPES: &str = "an unknown type is a bad line";
const HISTOGRAMS: &str = "h and d are histograms, which are named as timers";
pub(super) const SAMPLED: &str =
    "a sampled timer counts for those that were not sent, in all statistics";
const RATES: &str = "a rate that is not above 0 and at most 1 is a bad line";
const FIELDS: &str = "a field that begins with a digit or sign is a bad line";
const VALUES: &str = "a value that is not a finite decimal number is a bad line";
const NEGATIVE: &str = "a negative time is a bad line";
const BLANKS: &str = "blanks around types and before signs are omitted";
pub(super) const SEVERAL: &str = "several values of one type are read";
pub(super) const TAGS: &str = "tags are Graphite's tags, valid and sorted";
const NUMBER_SIGN: &str =
    "a `#` in a name is removed like other characters, and does not end the line";
const EMPTY: &str = "a name without valid characters is a bad line";
const LINE_ENDS: &str = "lines end with a line feed only";
const ENCODING: &str =
    "a line that is not UTF-8 is a bad line, and the others of its packet are not";
const EVENTS: &str = "events and service checks are skipped";

impl Wanted {
    /// Adds the lines of a packet.
    pub(super) fn packet(&mut self, packet: &str) {
        let is_text = !packet.contains('\u{fffd}');
        for line in packet.split('\n') {
            self.line(line.strip_suffix('\r').unwrap_or(line), is_text);
        }
    }

    /// Begins the next flush.
    pub(super) fn flush(&mut self) {
        self.earlier.extend(std::mem::take(&mut self.series).into_keys());
        self.rejected.clear();
    }

    /// Adds a line of a packet that is UTF-8, or not.
    fn line(&mut self, line: &str, is_text: bool) {
        if line.trim().is_empty() {
            return;
        }
        let Some((raw, rest)) = line.split_once(':') else {
            return self.reject(line, EVENTS_OR_FIELDS);
        };
        let is_end = |c: char| "\r\u{b}\u{c}\u{1c}\u{1d}\u{1e}\u{85}\u{2028}\u{2029}".contains(c);
        let mut reasons = BTreeSet::new();
        if line.contains(is_end) {
            // The original sees several lines, and thus several keys.
            reasons.insert(LINE_ENDS);
            line.split(is_end).skip(1).for_each(|line| self.reject(line, LINE_ENDS));
        }
        if line.starts_with("_e{") || line.starts_with("_sc|") {
            self.reject(line, EVENTS);
            return self.reject(raw, EVENTS);
        }
        if line.contains('\u{fffd}') {
            return self.reject(raw, ENCODING);
        }
        if !is_text {
            reasons.insert(ENCODING);
        }
        if raw.contains('#') {
            reasons.insert(NUMBER_SIGN);
        }
        let (name, has_tags) = match raw.split_once([';', ',', '[']) {
            Some((name, _)) => (name.trim_end_matches('.'), true),
            None => (raw, false),
        };
        if has_tags {
            reasons.insert(TAGS);
            // The original cleans the whole key.
            self.reject(raw, TAGS);
        }
        let key = cleaned(name);
        if key.is_empty() {
            return self.reject(raw, EMPTY);
        }
        let (samples, has_tags) = without_tags(rest);
        if has_tags {
            reasons.insert(TAGS);
        }
        let mut values: Vec<&str> = Vec::new();
        let pieces: Vec<_> = samples.split(':').collect();
        for piece in pieces {
            let Some((value, fields)) = piece.split_once('|') else {
                values.push(piece);
                continue;
            };
            values.push(value);
            let mut reasons = reasons.clone();
            if values.len() > 1 {
                reasons.insert(SEVERAL);
            }
            self.samples(&key, &std::mem::take(&mut values), fields, reasons);
        }
        if !values.is_empty() {
            self.reject(&key, EVENTS_OR_FIELDS);
        }
    }

    fn samples(
        &mut self,
        key: &str,
        values: &[&str],
        fields: &str,
        mut reasons: BTreeSet<&'static str>,
    ) {
        let mut fields = fields.split('|');
        let word = fields.next().unwrap_or_default();
        if word.trim() != word {
            reasons.insert(BLANKS);
        }
        let (kind, reason) = match word.trim() {
            "c" | "m" => (Kind::Counter, None),
            "g" => (Kind::Gauge, None),
            "s" => (Kind::Set, None),
            "ms" => (Kind::Timer, None),
            "h" | "d" => (Kind::Timer, Some(HISTOGRAMS)),
            _ => return self.reject(key, TYPES),
        };
        reasons.extend(reason);
        let mut rate = 1.0;
        for field in fields {
            if let Some(text) = field.trim().strip_prefix('@') {
                match text.trim().parse::<f64>() {
                    Ok(given) if given > 0.0 && given <= 1.0 => rate = given,
                    _ => return self.reject(key, RATES),
                }
                if kind == Kind::Timer {
                    reasons.insert(SAMPLED);
                }
            } else if field.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
                return self.reject(key, FIELDS);
            }
        }
        if kind == Kind::Set {
            let member = values.join(":");
            let member = if member.is_empty() { "0".to_owned() } else { member };
            let series = self.series.entry((key.to_owned(), kind)).or_default();
            series.members.insert(member);
            series.reasons.extend(reasons);
            return;
        }
        for value in values {
            let text = value.trim();
            let is_decimal = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
            let number = text.parse::<f64>().ok().filter(|value| value.is_finite());
            let Some(number) = number.filter(|_| text.chars().all(is_decimal)) else {
                self.reject(key, VALUES);
                continue;
            };
            if word.trim() == "ms" && number < 0.0 {
                self.reject(key, NEGATIVE);
                continue;
            }
            let mut reasons = reasons.clone();
            if (number / rate).fract() != 0.0 && kind == Kind::Counter {
                reasons.insert(FRACTIONS);
            }
            // Bucky looks for a sign before it removes blanks.
            if text != *value && kind == Kind::Gauge && text.starts_with(['+', '-']) {
                reasons.insert(BLANKS);
            }
            let number = if kind == Kind::Gauge {
                let before = self.gauges.get(key).copied().unwrap_or_default();
                let base = if text.starts_with(['+', '-']) { before } else { 0.0 };
                self.gauges.insert(key.to_owned(), base + number);
                base + number
            } else {
                number
            };
            let series = self.series.entry((key.to_owned(), kind)).or_default();
            series.values.push((number, 1.0 / rate));
            series.reasons.extend(reasons);
        }
    }

    fn reject(&mut self, key: &str, reason: &'static str) {
        let key = key.split(':').next().unwrap_or_default();
        self.rejected.entry(cleaned(key)).or_default().insert(reason);
    }
}

/// Both programs reject it; what was recorded does not differ.
const EVENTS_OR_FIELDS: &str = EVENTS;

impl Series {
    /// Whether a line of the series can have this value. `window` is the length of a flush in
    /// seconds, and `name` that of the line.
    pub(super) fn gives(&self, kind: Kind, name: &str, value: f64, window: f64) -> bool {
        let same = |wanted: f64| (wanted - value).abs() <= wanted.abs() * 1e-9;
        let weight: f64 = self.values.iter().map(|(_, weight)| weight).sum();
        let sum: f64 = self.values.iter().map(|(value, weight)| value * weight).sum();
        match kind {
            Kind::Counter => same(sum) || same(sum / window),
            Kind::Gauge => self.values.last().is_some_and(|(value, _)| same(*value)),
            Kind::Set => same(self.members.len() as f64),
            Kind::Timer => {
                let values = || self.values.iter().map(|(value, _)| *value);
                let (least, most) =
                    (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
                let squares: f64 =
                    self.values.iter().map(|(value, weight)| value * value * weight).sum();
                // For a percentile, it is that of a part of the values.
                let is_of_all = !name.ends_with(|c: char| c.is_ascii_digit());
                let is = |wanted: f64| same(wanted) || !is_of_all && 0.0 <= value && value < wanted;
                let word = name.rsplit('.').next().unwrap_or_default();
                if word.starts_with("count_ps") {
                    is(weight / window)
                } else if word.starts_with("count") {
                    is(weight)
                } else if word.starts_with("sum_squares") {
                    is(squares)
                } else if word.starts_with("sum") {
                    is(sum)
                } else if word == "std" {
                    value >= 0.0 && value <= most - least
                } else {
                    least <= value && value <= most
                }
            }
        }
    }
}

/// A key as StatsD cleans it.
fn cleaned(key: &str) -> String {
    let mut clean = String::new();
    let mut is_blank = false;
    for c in key.chars() {
        if c.is_whitespace() {
            if !is_blank {
                clean.push('_');
            }
        } else if c == '/' {
            clean.push('-');
        } else if c.is_ascii_alphanumeric() || "_-.".contains(c) {
            clean.push(c);
        }
        is_blank = c.is_whitespace();
    }
    clean
}

/// The samples of a line without tags and other fields of DogStatsD, and whether there were tags.
fn without_tags(rest: &str) -> (String, bool) {
    let mut fields = rest.split('|');
    let mut samples = fields.next().unwrap_or_default().to_owned();
    let mut has_tags = false;
    for field in fields {
        let is_ignored = ["c:", "e:", "card:", "T"].iter().any(|begin| field.starts_with(begin));
        // A type is a letter too, with a sample after it.
        let is_type = field.starts_with("c:") && rest.split('|').nth(1) == Some(field);
        if field.starts_with('#') {
            has_tags = true;
        } else if !is_ignored || is_type {
            samples.push('|');
            samples += field;
        }
    }
    (samples, has_tags)
}
