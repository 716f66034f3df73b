//! A queue of measurements, submitted together.

use super::aggregator::Aggregator;
use super::chunks::{Chunk, Chunks, Endpoint, PER_REQUEST};
use super::connection::Client;
use super::error::{ApiErrorKind, Error};
use super::measurement::{Measurement, Values};
use super::tags::Tags;

/// The number of measurements that a queue may hold, unless another is set.
const CAPACITY: usize = 1_000_000;

/// Measurements that are submitted together, at most 300 in a request.
///
/// What is left at the end of its scope is submitted then, also if the scope ends with a panic or an
/// early return. Errors of that are logged; [`submit`](Self::submit) returns them.
///
/// ```no_run
/// # use zibrato_workers::librato::client::{Client, Credentials, Measurement};
/// # let client = Client::new(Credentials::from_env()?)?;
/// let mut queue = client.queue().auto_submit_count(400);
/// queue.add(Measurement::gauge("temperature", 22.1).source("upstairs"))?;
/// queue.add(Measurement::counter("num_requests", 100).source("server1"))?;
/// queue.submit()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Queue {
    client: Client,
    untagged: Chunks,
    tagged: Chunks,
    tags: Tags,
    auto_submit_count: usize,
    capacity: usize,
}

impl Client {
    /// A queue of measurements.
    #[must_use]
    pub fn queue(&self) -> Queue {
        Queue {
            client: self.clone(),
            untagged: Chunks::default(),
            tagged: Chunks::default(),
            tags: Tags::new(),
            auto_submit_count: 0,
            capacity: CAPACITY,
        }
    }
}

impl Queue {
    /// The number of measurements at which the queue is submitted. Defaults to 0, which means never.
    #[must_use]
    pub fn auto_submit_count(mut self, count: usize) -> Self {
        self.auto_submit_count = count;
        self
    }

    /// The tags of measurements that have none of their own, together with those of the client.
    /// Defaults to none.
    #[must_use]
    pub fn tags(mut self, tags: impl Into<Tags>) -> Self {
        self.tags = tags.into();
        self
    }

    /// The number of measurements that it may hold while the server does not take them. Defaults to a
    /// million.
    #[must_use]
    pub fn capacity(mut self, measurements: usize) -> Self {
        self.capacity = measurements;
        self
    }

    /// The number of measurements that it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.untagged.len() + self.tagged.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a measurement. A single value with tags is sent as a sum with a count of 1.
    ///
    /// # Errors
    /// If a number is not finite, the queue is full, or AppOptics is the service and there is no tag;
    /// then it is not added. If the queue is submitted, as for [`submit`](Self::submit).
    pub fn add(&mut self, measurement: Measurement) -> Result<(), Error> {
        let tags = measurement.tags_of_queued(&self.client.tags, &self.tags);
        if self.client.is_appoptics() && tags.as_ref().is_none_or(Tags::is_empty) {
            return Err(Error::NoTag);
        }
        let measurement = self.client.accepted(measurement)?;
        self.put(&measurement, tags.as_ref())?;
        self.submit_if_due()
    }

    /// Adds what an aggregator has collected, and clears the aggregator. The tags of the queue and of
    /// the client do not apply.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// let mut latencies = client.aggregator().source("web-1").period(60);
    /// latencies.add("latency", 42)?;
    /// let mut queue = client.queue();
    /// queue.add_aggregator(&mut latencies)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the queue has no room for it, or AppOptics is the service and there are no tags; then the aggregator is as before. If the queue is submitted,
    /// as for [`submit`](Self::submit).
    pub fn add_aggregator(&mut self, aggregator: &mut Aggregator) -> Result<(), Error> {
        let (untagged, tagged) = aggregator.measurements();
        if self.len() + untagged.len() + tagged.len() > self.capacity {
            return Err(Error::QueueFull(self.len()));
        }
        if self.client.is_appoptics()
            && (!untagged.is_empty() || !tagged.is_empty() && aggregator.own_tags().is_empty())
        {
            return Err(Error::NoTag);
        }
        for measurement in &untagged {
            self.put(measurement, None)?;
        }
        for measurement in &tagged {
            self.put(measurement, Some(aggregator.own_tags()))?;
        }
        aggregator.clear();
        self.submit_if_due()
    }

    fn put(&mut self, measurement: &Measurement, tags: Option<&Tags>) -> Result<(), Error> {
        if self.len() >= self.capacity {
            return Err(Error::QueueFull(self.len()));
        }
        let added = match tags {
            Some(none) if none.is_empty() => {
                self.tagged.add(&measurement.with_tags(none, Values::Untagged), false)
            }
            Some(tags) => self.tagged.add(&measurement.with_tags(tags, Values::AsSum), false),
            None => self.untagged.add(&measurement.without_tags(), measurement.is_counter()),
        };
        added.map_err(|why| Error::Unwritable(why.into()))
    }

    fn submit_if_due(&mut self) -> Result<(), Error> {
        let is_due = self.auto_submit_count > 0 && self.len() >= self.auto_submit_count;
        if is_due { self.submit() } else { Ok(()) }
    }

    /// Submits all: first those without tags, then those with tags, 300 in a request.
    ///
    /// What the server has accepted leaves the queue at once and is never sent again. At the first
    /// error the rest stays, and another call sends it. If the server rejects a request for good, see
    /// [`submit_isolating`](Self::submit_isolating) or [`skip`](Self::skip).
    ///
    /// # Errors
    /// If the server rejects a request, wholly or in part, or does not answer. What was accepted in
    /// part is not sent again.
    pub fn submit(&mut self) -> Result<(), Error> {
        for to in [Endpoint::Metrics, Endpoint::Measurements] {
            while let Some(chunk) = self.chunks(to).first() {
                let body = chunk.body(to);
                let sent = self.client.post_measurements(to.path(), body);
                self.settle(to, sent)?;
            }
        }
        Ok(())
    }

    /// Submits all, and finds the measurements that the server rejects: a request with status 400 is
    /// divided until each of its measurements is accepted or alone. So one bad name spoils no others.
    /// A rejected measurement leaves the queue and is given to `on_rejected`.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials, Measurement};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// let mut queue = client.queue();
    /// queue.add(Measurement::gauge("two words", 1))?;
    /// queue.submit_isolating(|rejected| eprintln!("{}: {}", rejected.body, rejected.error))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// For all other errors, as for [`submit`](Self::submit).
    pub fn submit_isolating(&mut self, mut on_rejected: impl FnMut(Rejected)) -> Result<(), Error> {
        for to in [Endpoint::Metrics, Endpoint::Measurements] {
            while let Some(body) = self.chunks(to).first().map(|chunk| chunk.body(to)) {
                let sent = self.client.post_measurements(to.path(), body.clone());
                match sent {
                    Err(error) if error.kind() == Some(ApiErrorKind::BadRequest) => {
                        if !self.chunks(to).divide_first() {
                            self.chunks(to).remove_first();
                            let body = String::from_utf8_lossy(&body).into_owned();
                            on_rejected(Rejected { body, error });
                        }
                    }
                    sent => self.settle(to, sent)?,
                }
            }
        }
        Ok(())
    }

    /// Removes the measurements of the first request if they were accepted, even in part.
    fn settle(&mut self, to: Endpoint, sent: Result<(), Error>) -> Result<(), Error> {
        let kind = sent.as_ref().err().map(Error::kind);
        if matches!(kind, None | Some(Some(ApiErrorKind::Partial))) {
            self.chunks(to).remove_first();
        }
        sent
    }

    /// Removes the measurements of the next request, such as those that [`submit`](Self::submit)
    /// could not send. Returns their number.
    pub fn skip(&mut self) -> usize {
        for to in [Endpoint::Metrics, Endpoint::Measurements] {
            if let Some(count) = self.chunks(to).first().map(Chunk::len) {
                self.chunks(to).remove_first();
                return count;
            }
        }
        0
    }

    /// Removes all measurements.
    pub fn clear(&mut self) {
        self.untagged.clear();
        self.tagged.clear();
    }

    const fn chunks(&mut self, of: Endpoint) -> &mut Chunks {
        match of {
            Endpoint::Measurements => &mut self.tagged,
            Endpoint::Metrics => &mut self.untagged,
        }
    }
}

/// A measurement that the server rejects.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rejected {
    /// The body of the request, with this measurement alone.
    pub body: String,
    /// What the server says.
    pub error: Error,
}

/// Submits what is left.
impl Drop for Queue {
    fn drop(&mut self) {
        if self.is_empty() {
            return;
        }
        if let Err(why) = self.submit() {
            let (count, requests) = (self.len(), self.len().div_ceil(PER_REQUEST));
            tracing::error!(event = "librato_queue_lost", count, requests, %why);
        }
    }
}
