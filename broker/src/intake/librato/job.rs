//! A request on its way from the thread that speaks HTTP to the one that handles it.

use super::answer::Answer;
use super::api::Request;
use super::memory::Pending;
use tokio::sync::oneshot;

/// A request, and where its answer goes.
pub(super) struct Job {
    pub(super) request: Request<Pending>,
    pub(super) answer: oneshot::Sender<Answer>,
}
