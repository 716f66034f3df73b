//! The connection to a broker's replay port, with at most one request of each kind in progress.

use crate::feed::{Broker, OpenError};
use std::time::{Duration, Instant};
use zibrato::monitored::MonitoredSocket;
use zibrato::resources::new_context;
use zibrato::wire::{MAX_FRAME_BYTES, MAX_REQUEST_BYTES, ReplayAnswer, ReplayRequest};

/// A request without an answer within this time is sent again, on a new connection.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum size of an answer. A valid one has about the requested number of bytes, or one batch.
const MAX_ANSWER_BYTES: usize = 4 * MAX_FRAME_BYTES;

/// The sockets of a reader: one for the replay port, one for the publishing port, and one for
/// connection events.
const SOCKETS: usize = 3;

/// Memory of a frame in addition to its bytes.
const FRAME_OVERHEAD: usize = 64;

/// A connection that libzmq establishes, and restores, in the background.
pub(super) struct Link {
    context: zmq::Context,
    broker: Broker,
    endpoint: String,
    socket: MonitoredSocket,
    fetch: Option<Instant>,
    commit: Option<Instant>,
    sent: Option<Instant>,
}

/// An answer, and the batches that came with it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: ReplayAnswer,
    /// The frames of the batches, four each.
    pub(super) batches: Vec<zmq::Message>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("the answer has more than {MAX_ANSWER_BYTES} bytes; check what listens on that port")]
    Large,
    #[error("malformed answer; upgrade the broker or the worker, whichever is older")]
    Malformed,
    #[error("no answer has arrived")]
    Nothing,
}

impl Link {
    pub(super) fn open(broker: &Broker) -> Result<Self, OpenError> {
        let endpoint = broker.endpoint().ok_or(zmq::Error::EINVAL)?;
        let context = new_context(SOCKETS)?;
        let socket = connect(&context, broker, &endpoint)?;
        let (broker, fetch, commit, sent) = (broker.clone(), None, None, None);
        Ok(Self { context, broker, endpoint, socket, fetch, commit, sent })
    }

    /// The context for further sockets of the same reader.
    pub(super) const fn context(&self) -> &zmq::Context {
        &self.context
    }

    /// Reconnects. Requests in progress are forgotten, and their answers are never read.
    pub(super) fn reopen(&mut self) {
        (self.fetch, self.commit) = (None, None);
        match connect(&self.context, &self.broker, &self.endpoint) {
            Ok(socket) => self.socket = socket,
            // The old connection is better than none; this is tried again after the next timeout.
            Err(why) => tracing::warn!(event = "reconnect", endpoint = self.endpoint, %why),
        }
    }

    /// Sends a request. The answer may arrive later, or never.
    pub(super) fn ask(&mut self, request: &ReplayRequest) {
        let now = Instant::now();
        let frames = request.encode();
        debug_assert!(frames.iter().all(|frame| frame.len() <= MAX_REQUEST_BYTES));
        match request {
            ReplayRequest::Fetch(_) => self.fetch = Some(now),
            ReplayRequest::Commit(_) => self.commit = Some(now),
            _ => {}
        }
        self.sent = Some(now);
        if let Err(why) = self.socket.send_multipart(frames, zmq::DONTWAIT) {
            // The request counts as unanswered, and is sent again after its timeout.
            tracing::debug!(event = "not_asked", %why);
        }
    }

    pub(super) const fn fetching(&self) -> bool {
        self.fetch.is_some()
    }

    pub(super) const fn committing(&self) -> bool {
        self.commit.is_some()
    }

    /// Forgets the commit in progress. Its answer may still arrive.
    pub(super) const fn forget_commit(&mut self) {
        self.commit = None;
    }

    /// Whether the connection has ended since the last call. Requests on it will not be answered.
    pub(super) fn ended(&self) -> bool {
        self.socket.discard_events()
    }

    /// Time since the last request was sent.
    pub(super) fn quiet(&self, now: Instant) -> Duration {
        self.sent.map_or(Duration::MAX, |sent| now.saturating_duration_since(sent))
    }

    /// The time at which the fetch in progress times out.
    pub(super) fn fetch_overdue(&self) -> Option<Instant> {
        Some(self.fetch? + REQUEST_TIMEOUT)
    }

    /// The time at which the commit in progress times out.
    pub(super) fn commit_overdue(&self) -> Option<Instant> {
        Some(self.commit? + REQUEST_TIMEOUT)
    }

    /// The next answer that has arrived.
    pub(super) fn answer(&mut self) -> Result<Answer, AnswerError> {
        let mut frames = self.receive()?.into_iter();
        let (Some(topic), Some(body)) = (frames.next(), frames.next()) else {
            return Err(AnswerError::Malformed);
        };
        let head = ReplayAnswer::decode(&topic, &body).map_err(|_| AnswerError::Malformed)?;
        match head {
            ReplayAnswer::Batches(_) if frames.len() % 4 == 0 => self.fetch = None,
            ReplayAnswer::Committed(_) => self.commit = None,
            ReplayAnswer::Released | ReplayAnswer::Refused(_) => (),
            _ => return Err(AnswerError::Malformed),
        }
        Ok(Answer { head, batches: frames.collect() })
    }

    fn receive(&self) -> Result<Vec<zmq::Message>, AnswerError> {
        let (mut frames, mut bytes) = (Vec::new(), 0);
        loop {
            let mut frame = zmq::Message::new();
            match self.socket.recv(&mut frame, zmq::DONTWAIT) {
                Ok(()) => (),
                Err(zmq::Error::EINTR) => continue,
                Err(_) => return Err(AnswerError::Nothing),
            }
            bytes += frame.len() + FRAME_OVERHEAD;
            if bytes > MAX_ANSWER_BYTES {
                return Err(AnswerError::Large);
            }
            let more = frame.get_more();
            frames.push(frame);
            if !more {
                return Ok(frames);
            }
        }
    }

    pub(super) fn poll_items(&self) -> [zmq::PollItem<'_>; 2] {
        [self.socket.as_poll_item(zmq::POLLIN), self.socket.event_item()]
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

/// The only function that creates the socket.
fn connect(
    context: &zmq::Context,
    broker: &Broker,
    endpoint: &str,
) -> zmq::Result<MonitoredSocket> {
    let socket = MonitoredSocket::new(context, zmq::DEALER, &[zmq::SocketEvent::DISCONNECTED])?;
    // Time to send queued requests, such as a release, when the socket is closed.
    socket.set_linger(200)?;
    socket.set_maxmsgsize(MAX_FRAME_BYTES as i64)?;
    socket.set_reconnect_ivl(100)?;
    socket.set_reconnect_ivl_max(400)?;
    broker.connect(&socket, endpoint)?;
    Ok(socket)
}
