//! Which times of measurements with tags are wanted.
//!
//! Pure.

/// A range of times. A server wants a start or a duration, and not start, end and duration together;
/// so each constructor is one of the possible ranges.
///
/// ```
/// use zibrato_workers::librato::client::Span;
/// let last_hour = Span::last(3600);
/// let day = Span::between(1_700_006_400, 1_700_092_800);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Span {
    // Invariant: a start or a duration, and not all three.
    start_time: Option<i64>,
    end_time: Option<i64>,
    duration: Option<u64>,
}

impl Span {
    /// From a time on, in Unix seconds.
    pub const fn since(start: i64) -> Self {
        Self { start_time: Some(start), end_time: None, duration: None }
    }

    /// From one time to another, in Unix seconds.
    pub const fn between(start: i64, end: i64) -> Self {
        Self { start_time: Some(start), end_time: Some(end), duration: None }
    }

    /// A number of seconds that begins at `start`, in Unix seconds.
    pub const fn since_for(start: i64, seconds: u64) -> Self {
        Self { start_time: Some(start), end_time: None, duration: Some(seconds) }
    }

    /// The `seconds` before now.
    pub const fn last(seconds: u64) -> Self {
        Self { start_time: None, end_time: None, duration: Some(seconds) }
    }

    /// The `seconds` before `end`, which is in Unix seconds.
    pub const fn last_until(seconds: u64, end: i64) -> Self {
        Self { start_time: None, end_time: Some(end), duration: Some(seconds) }
    }

    /// Its parameters.
    pub(super) fn fields(&self) -> Vec<(String, String)> {
        let fields = [
            ("start_time", self.start_time.map(|time| time.to_string())),
            ("end_time", self.end_time.map(|time| time.to_string())),
            ("duration", self.duration.map(|seconds| seconds.to_string())),
        ];
        let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        given.collect()
    }
}
