//! A measurement, and its form in a request.
//!
//! Pure.

use super::attributes::Attributes;
use super::error::Error;
use super::extra::Extra;
use super::number::Number;
use super::tags::Tags;
use serde::{Serialize, Serializer};

/// A measurement to submit.
///
/// Without tags it goes to the older part of the API, as a gauge or a counter of a source. With tags,
/// its own or those of the client, it goes to `measurements`, which has neither kinds nor sources.
///
/// ```
/// use zibrato_workers::librato::client::{Measurement, Summary};
/// let gauge = Measurement::gauge("temperature", 22.5).source("attic").time(1_700_000_040);
/// let counter = Measurement::counter("connections", 20);
/// let summary = Measurement::summary("latency", Summary::new(3, 35).min(4.5).max(6.7));
/// let tagged = Measurement::gauge("temperature", 80).tags([("city", "sf")]);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Measurement {
    name: String,
    is_counter: bool,
    reading: Reading,
    source: Option<String>,
    time: Option<i64>,
    period: Option<u64>,
    display_name: Option<String>,
    description: Option<String>,
    attributes: Option<Attributes>,
    tags: Option<Tags>,
    inherits_tags: bool,
    extra: Extra,
}

#[derive(Debug, Clone, PartialEq)]
enum Reading {
    Summary(Summary),
    Value(Number),
}

/// Several readings of an interval, summed up.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[must_use]
pub struct Summary {
    count: u64,
    sum: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum_squares: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stddev: Option<Number>,
}

impl Summary {
    /// The number of readings and their sum.
    pub fn new(count: u64, sum: impl Into<Number>) -> Self {
        let sum = sum.into();
        Self { count, sum, min: None, max: None, sum_squares: None, last: None, stddev: None }
    }

    /// The smallest reading.
    pub fn min(mut self, min: impl Into<Number>) -> Self {
        self.min = Some(min.into());
        self
    }

    /// The largest reading.
    pub fn max(mut self, max: impl Into<Number>) -> Self {
        self.max = Some(max.into());
        self
    }

    /// The sum of the squares of the readings, from which the server takes the standard deviation.
    /// Only measurements without tags may have it.
    pub fn sum_squares(mut self, sum: impl Into<Number>) -> Self {
        self.sum_squares = Some(sum.into());
        self
    }

    /// The last reading. Only measurements with tags may have it.
    pub fn last(mut self, last: impl Into<Number>) -> Self {
        self.last = Some(last.into());
        self
    }

    /// The standard deviation. Only measurements with tags may have it.
    pub fn stddev(mut self, stddev: impl Into<Number>) -> Self {
        self.stddev = Some(stddev.into());
        self
    }

    /// The first number that is not finite, and its field.
    fn not_finite(&self) -> Option<(&'static str, Number)> {
        let given = [
            ("sum", Some(self.sum)),
            ("min", self.min),
            ("max", self.max),
            ("sum_squares", self.sum_squares),
            ("last", self.last),
            ("stddev", self.stddev),
        ];
        let mut given = given.into_iter().filter_map(|(field, number)| Some((field, number?)));
        given.find(|(_, number)| !number.is_finite())
    }
}

impl Measurement {
    fn new(name: String, is_counter: bool, reading: Reading) -> Self {
        Self {
            name,
            is_counter,
            reading,
            source: None,
            time: None,
            period: None,
            display_name: None,
            description: None,
            attributes: None,
            tags: None,
            inherits_tags: false,
            extra: Extra::new(),
        }
    }

    /// A reading of a gauge.
    pub fn gauge(name: impl Into<String>, value: impl Into<Number>) -> Self {
        Self::new(name.into(), false, Reading::Value(value.into()))
    }

    /// A total that grows. The server shows the difference to the one before; a smaller one begins
    /// anew. With tags it is sent like a gauge, because tagged measurements have no kinds.
    pub fn counter(name: impl Into<String>, total: impl Into<Number>) -> Self {
        Self::new(name.into(), true, Reading::Value(total.into()))
    }

    /// Several readings of a gauge.
    pub fn summary(name: impl Into<String>, summary: Summary) -> Self {
        Self::new(name.into(), false, Reading::Summary(summary))
    }

    /// Who measured: up to 255 characters of `A-Z a-z 0-9 . : - _`, and not `all`. Without tags only.
    /// Defaults to none, which the server calls `unassigned`.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// When it was measured, in Unix seconds. Defaults to the time at which the server receives it.
    /// The server rejects times too far in the past or in the future.
    pub const fn time(mut self, seconds: i64) -> Self {
        self.time = Some(seconds);
        self
    }

    /// The interval between measurements of this metric, in seconds. Defaults to what the server
    /// knows.
    pub const fn period(mut self, seconds: u64) -> Self {
        self.period = Some(seconds);
        self
    }

    /// The name of the metric that people see. Defaults to what the server knows.
    pub fn display_name(mut self, text: impl Into<String>) -> Self {
        self.display_name = Some(text.into());
        self
    }

    /// What the metric means. Defaults to what the server knows.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// How the metric is shown. Defaults to what the server knows.
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = Some(attributes);
        self
    }

    /// Tags, instead of those of the client.
    pub fn tags(mut self, tags: impl Into<Tags>) -> Self {
        self.tags = Some(tags.into());
        self
    }

    /// Adds the tags of the client, and those of a queue, to its own.
    pub const fn inherit_tags(mut self) -> Self {
        self.inherits_tags = true;
        self
    }

    /// Further fields, sent as they are.
    pub fn extra(mut self, fields: Extra) -> Self {
        self.extra = fields;
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn is_counter(&self) -> bool {
        self.is_counter
    }

    /// The same with a name as `change` makes it.
    pub(super) fn renamed(mut self, change: impl FnOnce(String) -> String) -> Self {
        self.name = change(self.name);
        self
    }

    /// The tags of a measurement that is submitted alone: its own, or those of the client, or both.
    /// `None` if it has none.
    pub(super) fn tags_of_one(&self, client: &Tags) -> Option<Tags> {
        match &self.tags {
            Some(own) if self.inherits_tags => Some(client.merged(own)),
            Some(own) => Some(own.clone()),
            None => (!client.is_empty()).then(|| client.clone()),
        }
    }

    /// The tags of a measurement in a queue, where empty ones are none.
    pub(super) fn tags_of_queued(&self, client: &Tags, queue: &Tags) -> Option<Tags> {
        let inherited = || client.merged(queue);
        match &self.tags {
            Some(own) if self.inherits_tags => Some(inherited().merged(own)),
            Some(own) if !own.is_empty() => Some(own.clone()),
            Some(_) => Some(inherited()),
            None => (!client.is_empty() || !queue.is_empty()).then(inherited),
        }
    }

    /// Fails if a number is not finite, which JSON cannot say.
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = match &self.reading {
            Reading::Value(number) if number.is_finite() => None,
            Reading::Value(number) => Some(("value", *number)),
            Reading::Summary(summary) => summary.not_finite(),
        };
        wrong.map_or(Ok(()), |(field, number)| {
            Err(Error::NotFinite { name: self.name.clone(), field, number })
        })
    }

    /// Its form among gauges and counters.
    pub(super) const fn without_tags(&self) -> Entry<'_> {
        Entry { of: self, tags: None, value: Values::AsGiven }
    }

    /// Its form in `measurements`.
    pub(super) const fn with_tags<'a>(&'a self, tags: &'a Tags, value: Values) -> Entry<'a> {
        Entry { of: self, tags: Some(tags), value }
    }
}

/// How a single value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    AsGiven,
    /// As a sum with a count of 1.
    AsSum,
    /// As given, in `measurements`, without tags.
    Untagged,
}

/// The form of a measurement in a request.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    of: &'a Measurement,
    tags: Option<&'a Tags>,
    value: Values,
}

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            name: &'a str,
            #[serde(flatten)]
            summary: Option<&'a Summary>,
            #[serde(skip_serializing_if = "Option::is_none")]
            value: Option<Number>,
            #[serde(skip_serializing_if = "Option::is_none")]
            source: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            measure_time: Option<i64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            time: Option<i64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            period: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            display_name: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            description: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            attributes: Option<&'a Attributes>,
            #[serde(skip_serializing_if = "Option::is_none")]
            tags: Option<&'a Tags>,
            #[serde(flatten)]
            extra: &'a Extra,
        }
        let Self { of, tags, value } = self;
        let is_tagged = tags.is_some();
        let single;
        let (summary, value) = match (&of.reading, value) {
            (Reading::Summary(summary), _) => (Some(summary), None),
            (Reading::Value(number), Values::AsSum) => {
                single = Summary::new(1, *number);
                (Some(&single), None)
            }
            (Reading::Value(number), Values::AsGiven | Values::Untagged) => (None, Some(*number)),
        };
        let fields = Fields {
            name: &of.name,
            summary,
            value,
            source: of.source.as_deref(),
            measure_time: of.time.filter(|_| !is_tagged),
            time: of.time.filter(|_| is_tagged),
            period: of.period,
            display_name: of.display_name.as_deref(),
            description: of.description.as_deref(),
            attributes: of.attributes.as_ref(),
            tags: tags.filter(|_| self.value != Values::Untagged),
            extra: &of.extra,
        };
        fields.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::{Measurement, Summary, Tags, Values};

    #[test]
    fn a_number_that_is_not_finite_is_named() {
        let wrong = |of: Measurement| of.check().unwrap_err().to_string();
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let text = wrong(Measurement::gauge("t", number));
            let expected =
                format!("the value of \"t\" is {number}, and only finite numbers can be sent");
            assert_eq!(text, expected);
            for summary in [
                Summary::new(1, number),
                Summary::new(1, 1).min(number),
                Summary::new(1, 1).max(number),
                Summary::new(1, 1).sum_squares(number),
                Summary::new(1, 1).last(number),
                Summary::new(1, 1).stddev(number),
            ] {
                wrong(Measurement::summary("t", summary));
            }
        }
        Measurement::counter("t", f64::MAX).check().unwrap();
    }

    #[test]
    fn a_time_has_another_name_with_tags() {
        for time in [0, 1_700_000_040, 4_102_444_800] {
            let one = Measurement::gauge("t", 1).source("s").time(time);
            let json = |entry| serde_json::to_string(&entry).unwrap();
            let expected =
                format!(r#"{{"name":"t","value":1,"source":"s","measure_time":{time}}}"#);
            assert_eq!(json(one.without_tags()), expected);
            let tags = Tags::from([("a", "b")]);
            let of = Measurement::gauge("t", 1).time(time);
            let expected =
                format!(r#"{{"name":"t","count":1,"sum":1,"time":{time},"tags":{{"a":"b"}}}}"#);
            assert_eq!(json(of.with_tags(&tags, Values::AsSum)), expected);
        }
    }
}
