//! Submitting one measurement.

use super::connection::Client;
use super::error::Error;
use super::measurement::{Entry, Measurement, Values};
use super::request::Request;
use super::tags::Tags;
use serde::Serialize;

/// The body of `metrics`.
#[derive(Debug, Serialize)]
struct Untagged<'a> {
    gauges: &'a [Entry<'a>],
    counters: &'a [Entry<'a>],
}

/// The body of `measurements`.
#[derive(Debug, Serialize)]
struct Tagged<'a> {
    measurements: [Entry<'a>; 1],
}

impl Client {
    /// Submits one measurement. Many are better submitted together, by a [`Queue`](super::Queue).
    ///
    /// With tags of its own, or of the client, it goes to `measurements`; otherwise to `metrics`.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials, Measurement};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// client.submit(Measurement::gauge("temperature", 22.5).source("attic"))?;
    /// client.submit(Measurement::counter("connections", 20))?;
    /// client.submit(Measurement::gauge("temperature", 80).tags([("city", "sf")]))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If a number is not finite, if AppOptics is the service and there is no tag, or if the server
    /// rejects the measurement or does not answer.
    pub fn submit(&self, measurement: Measurement) -> Result<(), Error> {
        match measurement.tags_of_one(&self.tags) {
            Some(tags) => self.submit_with(measurement, Some(&tags)),
            None if self.is_appoptics() => Err(Error::NoTag),
            None => {
                let measurement = self.accepted(measurement)?;
                let entry = [measurement.without_tags()];
                let (gauges, counters): (&[_], &[_]) =
                    if measurement.is_counter() { (&[], &entry) } else { (&entry, &[]) };
                self.send_measurements("metrics", &Untagged { gauges, counters })
            }
        }
    }

    /// Submits one measurement to `measurements`, whether it has tags or not.
    ///
    /// # Errors
    /// As for [`submit`](Self::submit).
    pub fn submit_tagged(&self, measurement: Measurement) -> Result<(), Error> {
        let tags = measurement.tags_of_one(&self.tags);
        self.submit_with(measurement, tags.as_ref())
    }

    fn submit_with(&self, measurement: Measurement, tags: Option<&Tags>) -> Result<(), Error> {
        if self.is_appoptics() && tags.is_none_or(Tags::is_empty) {
            return Err(Error::NoTag);
        }
        let measurement = self.accepted(measurement)?;
        let none = Tags::new();
        let entry = match tags {
            Some(tags) => measurement.with_tags(tags, Values::AsGiven),
            None => measurement.with_tags(&none, Values::Untagged),
        };
        self.send_measurements("measurements", &Tagged { measurements: [entry] })
    }

    /// A measurement that can be sent, with the name to send.
    pub(super) fn accepted(&self, measurement: Measurement) -> Result<Measurement, Error> {
        measurement.check()?;
        Ok(measurement.renamed(|name| self.shared.sanitizer.apply(name)))
    }

    pub(super) fn send_measurements(&self, path: &str, body: &impl Serialize) -> Result<(), Error> {
        let body = serde_json::to_vec(body).map_err(|why| Error::Unwritable(why.into()))?;
        self.post_measurements(path, body)
    }

    pub(super) fn post_measurements(&self, path: &str, body: Vec<u8>) -> Result<(), Error> {
        let success = self.call(&Request::measurements(path, body))?;
        success.whole(&self.shared.credentials)
    }
}
