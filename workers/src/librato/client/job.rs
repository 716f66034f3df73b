//! What the server does later.

use super::answer::Success;
use super::connection::Client;
use super::error::Error;
use super::extra::Extra;
use super::id::Id;
use super::request::Request;
use serde::{Deserialize, Serialize};

/// Whether a change is already made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Completion {
    /// The change is made.
    Done,
    /// A job of the server makes it; [`Jobs::get`] tells how far it is. It has no identifier if the
    /// server gave none.
    Later(Option<Id>),
}

impl Completion {
    pub(super) fn of(success: &Success) -> Self {
        if success.code != 202 {
            return Self::Done;
        }
        let place = success.location.as_deref().unwrap_or_default();
        let id = place.rsplit_once("/jobs/").map(|(_, id)| id.trim_end_matches('/'));
        let id = id.filter(|id| !id.is_empty());
        Self::Later(id.map(|id| id.parse::<u64>().map_or_else(|_| Id::from(id), Id::from)))
    }
}

/// A job of the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Job {
    /// Its identifier.
    pub id: Id,
    /// What it is doing.
    pub state: JobState,
    /// How much of it is done, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    /// Its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Other fields, such as `errors`.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The state of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum JobState {
    /// It was stopped.
    Canceled,
    /// It is done.
    Complete,
    /// It has failed; `errors` says why.
    Failed,
    /// It waits.
    Queued,
    /// It runs.
    Working,
    /// Another state.
    #[serde(untagged)]
    Other(String),
}

/// Jobs of the server; see [`Client::jobs`].
#[derive(Debug)]
pub struct Jobs<'a>(&'a Client);

impl Client {
    /// Jobs of the server.
    #[must_use]
    pub const fn jobs(&self) -> Jobs<'_> {
        Jobs(self)
    }
}

impl Jobs<'_> {
    /// A job.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Completion, Credentials};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// if let Completion::Later(Some(job)) = client.metrics().delete_matching("cpu*.90")? {
    ///     println!("{:?}", client.jobs().get(&job)?.state);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn get(&self, id: &Id) -> Result<Job, Error> {
        self.0.call(&Request::get(&["jobs", &id.to_string()])?)?.decode()
    }
}
