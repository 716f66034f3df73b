//! What the connections share.

use super::admission::Admission;
use super::connections::Connections;
use crate::intake::librato::job::Job;
use crate::intake::librato::memory::Memory;
use crate::intake::librato::tally::Tally;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use tokio::sync::Notify;
use zibrato::daemon::Waker;

/// What all connections share.
pub(super) struct Shared {
    pub(super) admission: RefCell<Admission>,
    pub(super) jobs: SyncSender<Job>,
    pub(super) waker: Arc<Waker>,
    pub(super) tally: Arc<Tally>,
    pub(super) memory: Memory,
    pub(super) connections: Connections,
    /// Tells all connections that the broker stops.
    pub(super) stops: Notify,
}
