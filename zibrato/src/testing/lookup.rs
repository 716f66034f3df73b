//! What was captured of a name.

use super::report::{Wanted, not_recorded, sum};
use crate::sdk::Capture;
use crate::{Kind, Measurement};
use std::fmt::Display;

impl Capture {
    /// The sum of a counter, over all sources and tags.
    ///
    /// # Panics
    ///
    /// If no such counter was recorded. The message lists what was recorded, the nearest name
    /// first. To check that something is not recorded, use [`has`](Self::has) or
    /// [`assert_counted!`](crate::testing::assert_counted).
    #[must_use]
    #[track_caller]
    pub fn counter(&self, level: &str, name: &str) -> f64 {
        self.all().counter(level, name)
    }

    /// The readings of a gauge, over all sources and tags, in order.
    ///
    /// # Panics
    ///
    /// If no such gauge was recorded; see [`counter`](Self::counter).
    #[must_use]
    #[track_caller]
    pub fn gauge(&self, level: &str, name: &str) -> Vec<f64> {
        self.all().gauge(level, name)
    }

    /// The readings of a histogram, over all sources and tags, in order.
    ///
    /// # Panics
    ///
    /// If no such histogram was recorded; see [`counter`](Self::counter).
    #[must_use]
    #[track_caller]
    pub fn histogram(&self, level: &str, name: &str) -> Vec<f64> {
        self.all().histogram(level, name)
    }

    /// The readings of a timer in seconds, over all sources and tags, in order.
    ///
    /// # Panics
    ///
    /// If no such timer was recorded; see [`counter`](Self::counter).
    #[must_use]
    #[track_caller]
    pub fn timer(&self, level: &str, name: &str) -> Vec<f64> {
        self.all().timer(level, name)
    }

    /// Whether anything was recorded at this level and name, of whatever kind.
    ///
    /// ```
    /// let capture = zibrato::testing::capture();
    /// zibrato::count!("info", "hits");
    /// assert!(capture.has("info", "hits"));
    /// assert!(!capture.has("info", "misses"));
    /// ```
    #[must_use]
    pub fn has(&self, level: &str, name: &str) -> bool {
        self.all().has(level, name)
    }

    /// Whether anything of this kind was recorded at this level and name.
    ///
    /// ```
    /// use zibrato::{Kind, count_me, testing, time_me};
    ///
    /// #[count_me(name = "orders", on = "err")]
    /// #[time_me(name = "orders")]
    /// fn order() -> Result<(), ()> {
    ///     Ok(())
    /// }
    ///
    /// let capture = testing::capture();
    /// order();
    /// assert!(capture.has_kind(Kind::Timer, "info", "orders"));
    /// assert!(!capture.has_kind(Kind::Counter, "info", "orders"));
    /// ```
    #[must_use]
    pub fn has_kind(&self, kind: Kind, level: &str, name: &str) -> bool {
        self.all().has_kind(kind, level, name)
    }

    /// The readings that have this tag with this value, whatever other tags they have.
    ///
    /// ```
    /// use zibrato::{count, testing};
    ///
    /// let capture = testing::capture();
    /// for status in [200, 200, 404] {
    ///     count!("info", "http.requests", tags(method = "GET", status = status));
    /// }
    /// assert_eq!(capture.counter("info", "http.requests"), 3.0);
    /// assert_eq!(capture.tagged("status", 200).counter("info", "http.requests"), 2.0);
    /// let gets = capture.tagged("method", "GET");
    /// assert_eq!(gets.tagged("status", 404).counter("info", "http.requests"), 1.0);
    /// ```
    #[must_use]
    pub fn tagged(&self, tag: &str, value: impl Display) -> Tagged<'_> {
        self.all().tagged(tag, value)
    }

    const fn all(&self) -> Tagged<'_> {
        Tagged { capture: self, tags: Vec::new() }
    }
}

/// The readings of a capture that have certain tags. Returned by [`Capture::tagged`].
#[derive(Debug, Clone)]
pub struct Tagged<'a> {
    capture: &'a Capture,
    tags: Vec<(String, String)>,
}

impl Tagged<'_> {
    /// Those of the readings that also have this tag with this value.
    #[must_use]
    pub fn tagged(mut self, tag: &str, value: impl Display) -> Self {
        self.tags.push((tag.to_owned(), value.to_string()));
        self
    }

    /// The sum of a counter; see [`Capture::counter`].
    ///
    /// # Panics
    ///
    /// If no such counter was recorded with these tags.
    #[must_use]
    #[track_caller]
    pub fn counter(&self, level: &str, name: &str) -> f64 {
        sum(&self.values(Kind::Counter, level, name))
    }

    /// The readings of a gauge; see [`Capture::gauge`].
    ///
    /// # Panics
    ///
    /// If no such gauge was recorded with these tags.
    #[must_use]
    #[track_caller]
    pub fn gauge(&self, level: &str, name: &str) -> Vec<f64> {
        self.values(Kind::Gauge, level, name)
    }

    /// The readings of a histogram; see [`Capture::histogram`].
    ///
    /// # Panics
    ///
    /// If no such histogram was recorded with these tags.
    #[must_use]
    #[track_caller]
    pub fn histogram(&self, level: &str, name: &str) -> Vec<f64> {
        self.values(Kind::Histogram, level, name)
    }

    /// The readings of a timer in seconds; see [`Capture::timer`].
    ///
    /// # Panics
    ///
    /// If no such timer was recorded with these tags.
    #[must_use]
    #[track_caller]
    pub fn timer(&self, level: &str, name: &str) -> Vec<f64> {
        self.values(Kind::Timer, level, name)
    }

    /// Whether anything was recorded at this level and name with these tags.
    #[must_use]
    pub fn has(&self, level: &str, name: &str) -> bool {
        let is_it = |m: &Measurement| m.level.as_str() == level && m.name.as_str() == name;
        self.measurements().iter().any(is_it)
    }

    /// Whether anything of this kind was recorded at this level and name with these tags.
    #[must_use]
    pub fn has_kind(&self, kind: Kind, level: &str, name: &str) -> bool {
        let wanted = Wanted { kind, level: Some(level), name, tags: &self.tags };
        !wanted.values(&self.capture.measurements()).is_empty()
    }

    /// Everything recorded so far with these tags, in order.
    #[must_use]
    pub fn measurements(&self) -> Vec<Measurement> {
        let mut all = self.capture.measurements();
        all.retain(|m| self.tags.iter().all(|(tag, value)| m.tags.get(tag) == Some(value)));
        all
    }

    /// The values of what is looked for.
    #[track_caller]
    fn values(&self, kind: Kind, level: &str, name: &str) -> Vec<f64> {
        let all = self.capture.measurements();
        let wanted = Wanted { kind, level: Some(level), name, tags: &self.tags };
        let values = wanted.values(&all);
        let of_process = self.capture.is_of_process();
        assert!(!values.is_empty(), "{}", not_recorded(&wanted, &all, of_process));
        values
    }
}
