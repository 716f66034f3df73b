//! The thread of the replay port, as the broker owns it.

use crate::curve::{Listener, RevocationFilter};
use crate::replay::{FetchHandler, ReplayThread};
use crate::shared::Shared;
use crate::start_error::StartError;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use zibrato::daemon::{NotifyOnDrop, Stop};

/// How long the thread may take to end when it is dropped.
const PATIENCE: Duration = Duration::from_millis(500);

/// The thread of the replay port.
#[derive(Debug)]
pub(super) struct Replay {
    stop: Stop,
    ended: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Replay {
    /// Ends the thread, and says whether it has ended.
    pub(super) fn end(&mut self, within: Duration) -> bool {
        self.stop.raise();
        let ended = self.ended.wait(within);
        if let Some(thread) = self.thread.take().filter(|_| ended) {
            // It has said its last word, so this does not wait.
            drop(thread.join());
        }
        ended
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.end(PATIENCE);
    }
}

/// Starts the thread.
pub(super) fn start_replay(
    socket: (zmq::Context, zmq::Socket),
    handler: Option<FetchHandler>,
    filter: (RevocationFilter, Listener),
    shared: &Arc<Shared>,
) -> Result<Replay, StartError> {
    let (stop, ended) = (Stop::new()?, Stop::new()?);
    let replay = ReplayThread::new(socket, handler, filter, (stop.clone(), Arc::clone(shared)));
    let last_word = NotifyOnDrop::new(ended.clone());
    let thread = std::thread::Builder::new().name("zb-replay".to_owned()).spawn(move || {
        let _last_word = last_word;
        if let Err(error) = replay.run() {
            tracing::error!(event = "replay_failed", %error);
        }
    })?;
    Ok(Replay { stop, ended, thread: Some(thread) })
}
