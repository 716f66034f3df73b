//! A server that answers as it is told, and records requests.

use super::http::{Reply, Request, Server, Service};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Answers requests with scripted answers. Dropping it stops it.
///
/// ```
/// use zibrato_tests::fake::{Reply, ScriptedServer};
/// let server = ScriptedServer::start().unwrap();
/// server.answer_with(Reply::status(204));
/// assert!(server.url().starts_with("http://127.0.0.1:"));
/// assert!(server.requests().is_empty());
/// ```
#[derive(Debug)]
pub struct ScriptedServer {
    server: Server<Recorded>,
}

#[derive(Debug, Default)]
struct Recorded {
    requests: Vec<Request>,
    /// The next answers of a path. The last one stays.
    by_path: BTreeMap<String, VecDeque<Reply>>,
}

impl Service for Recorded {
    fn answer(&mut self, request: &Request) -> Reply {
        let queue = self.by_path.get_mut(&request.path);
        let reply = queue.and_then(|queue| match queue.len() {
            0 | 1 => queue.front().cloned(),
            _ => queue.pop_front(),
        });
        reply.unwrap_or_else(|| Reply::status(404).body("nothing is scripted"))
    }

    fn record(&mut self, request: Request) {
        self.requests.push(request);
    }
}

impl ScriptedServer {
    /// Starts on a free port.
    ///
    /// # Errors
    /// If there is no free port, or no thread can be started.
    pub fn start() -> anyhow::Result<Self> {
        Ok(Self { server: Server::start(Recorded::default())? })
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Answers the next request with this. Several answers are queued.
    pub fn answer_with(&self, reply: Reply) {
        self.server.answer_with(reply);
    }

    /// The answer to every request while the queue is empty. The default is 404.
    pub fn answer_always(&self, reply: Option<Reply>) {
        self.server.answer_always(reply);
    }

    /// Answers the next request for a path with this. Several answers are queued; the last one is
    /// given again.
    pub fn answer_path(&self, path: &str, reply: Reply) {
        self.server.change(|recorded| {
            recorded.by_path.entry(path.to_owned()).or_default().push_back(reply);
        });
    }

    /// All requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.server.look(|recorded| recorded.requests.clone())
    }

    /// Waits until `done` returns true. It is called with the requests after each of them.
    ///
    /// # Errors
    /// If the deadline passes first.
    pub fn wait_until(
        &self,
        done: impl Fn(&[Request]) -> bool,
        deadline: Duration,
    ) -> anyhow::Result<()> {
        self.server.wait_until(|recorded| done(&recorded.requests), deadline)
    }
}
