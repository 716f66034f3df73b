//! A server that answers as it is told, and records requests.

use super::http::{Reply, Request, Server, Service};

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
struct Recorded(Vec<Request>);

impl Service for Recorded {
    fn answer(&mut self, _: &Request) -> Reply {
        Reply::status(404).body("nothing is scripted")
    }

    fn record(&mut self, request: Request) {
        self.0.push(request);
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

    /// All requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.server.look(|recorded| recorded.0.clone())
    }
}
