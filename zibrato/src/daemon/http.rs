//! A small HTTP server for `/healthz`, `/readyz` and `/metrics`: one thread, few connections.
//!
//! It answers GET and HEAD, one request per connection. A function of the path creates a page and
//! must not block, so one thread serves all connections.

use super::stop::{NotifyOnDrop, Stop};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// Maximum number of open connections; further ones are closed immediately.
const MAX_CONNECTIONS: usize = 64;

/// Timeout of the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum duration of a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);

/// Maximum number of bytes that are buffered of a request.
const BUFFER_BYTES: usize = 16 << 10;

/// Maximum time to finish open answers when the server stops.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Pause after a failed accept, because descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The status code; an invalid one becomes 500.
    pub status: u16,
    /// The content type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Page {
    /// A page of plain text.
    #[must_use]
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    /// Metrics in Prometheus' text format, as [`Exposition`](super::Exposition) writes it.
    #[must_use]
    pub fn metrics(body: String) -> Self {
        Self { status: 200, content_type: "text/plain; version=0.0.4; charset=utf-8", body }
    }
}

/// A running HTTP server. Dropping it stops it.
///
/// ```no_run
/// use zibrato::daemon::{HttpServer, Page};
/// let server = HttpServer::start("127.0.0.1:0".parse()?, |path| match path {
///     "/healthz" => Page::text(200, "ok\n"),
///     _ => Page::text(404, "there is only /healthz\n"),
/// })?;
/// println!("http://{}/healthz", server.address());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    stop: Stop,
    ended: Stop,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Binds `address` (port 0: any free port) and serves the pages that `pages` returns for each
    /// path.
    ///
    /// # Errors
    /// [`HttpError`] if the address cannot be bound or the process lacks resources.
    pub fn start<F>(address: SocketAddr, pages: F) -> Result<Self, HttpError>
    where
        F: Fn(&str) -> Page + Send + Sync + 'static,
    {
        Self::serve(Self::probe(address)?, pages)
    }

    /// Serves the pages that `pages` returns for each path, at an address that
    /// [`probe`](Self::probe) has bound.
    ///
    /// # Errors
    /// [`HttpError`] if the process lacks resources.
    pub fn serve<F>(listener: std::net::TcpListener, pages: F) -> Result<Self, HttpError>
    where
        F: Fn(&str) -> Page + Send + Sync + 'static,
    {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, ended) = (Stop::new()?, Stop::new()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (asked, last_word) = (stop.clone(), NotifyOnDrop::new(ended.clone()));
        let thread = std::thread::Builder::new().name("http".to_owned()).spawn(move || {
            let _last_word = last_word;
            if let Err(error) = runtime.block_on(serve(listener, asked, Arc::new(pages))) {
                tracing::error!(event = "http_ended", %error);
            }
        })?;
        Ok(Self { address, stop, ended, thread: Some(thread) })
    }

    /// Binds an address, to find out whether that is possible. It stays bound until the listener is
    /// dropped.
    ///
    /// # Errors
    /// [`HttpError`] if it cannot be bound.
    pub fn probe(address: SocketAddr) -> Result<std::net::TcpListener, HttpError> {
        std::net::TcpListener::bind(address).map_err(|source| HttpError::Bind { address, source })
    }

    /// The address on which it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, finishes open answers, and waits for the thread, at most `deadline`.
    pub fn stop(mut self, deadline: Duration) {
        self.end(deadline);
    }

    fn end(&mut self, deadline: Duration) {
        self.stop.raise();
        let Some(thread) = self.thread.take() else { return };
        if self.ended.wait(deadline) && thread.join().is_err() {
            tracing::error!(event = "http_panicked");
        }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.end(2 * LAST_ANSWERS);
    }
}

/// A connection that counts towards the limit.
struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve<F>(listener: std::net::TcpListener, stop: Stop, pages: Arc<F>) -> io::Result<()>
where
    F: Fn(&str) -> Page + Send + Sync + 'static,
{
    let listener = TcpListener::from_std(listener)?;
    // The token is one end of a socket pair, which becomes readable when the token is raised.
    let stop = UnixStream::from_std(stop.as_fd().try_clone_to_owned()?.into())?;
    let open = Arc::new(AtomicUsize::new(0));
    while let Some(accepted) = accept(&listener, &stop).await {
        let Ok(stream) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if open.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
            open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let (slot, pages) = (Slot(Arc::clone(&open)), Arc::clone(&pages));
        drop(tokio::spawn(async move {
            let _slot = slot;
            answer(stream, &*pages).await;
        }));
    }
    drop(listener);
    let begun = Instant::now();
    while open.load(Ordering::Relaxed) > 0 && begun.elapsed() < LAST_ANSWERS {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// The next connection, or `None` once the server is to stop.
async fn accept(listener: &TcpListener, stop: &UnixStream) -> Option<io::Result<TcpStream>> {
    poll_fn(|context| {
        if stop.poll_read_ready(context).is_ready() {
            return Poll::Ready(None);
        }
        listener.poll_accept(context).map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    })
    .await
}

async fn answer(stream: TcpStream, pages: &(impl Fn(&str) -> Page + Sync)) {
    let service = service_fn(|request| {
        let response = respond(&request, pages);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(BUFFER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(event = "http_peer", %error),
        Err(_) => tracing::debug!(event = "http_peer", error = "the request took too long"),
    }
}

fn respond(request: &Request<Incoming>, pages: impl Fn(&str) -> Page) -> Response<Full<Bytes>> {
    let readable = matches!(*request.method(), Method::GET | Method::HEAD);
    let page = if readable {
        pages(request.uri().path())
    } else {
        Page::text(405, "only GET and HEAD are answered\n")
    };
    let status = StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(Full::new(Bytes::from(page.body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(page.content_type));
    if !readable {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

/// Why the HTTP server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The address cannot be bound.
    #[error("--http: {address} cannot be bound: {}", bind_problem(source))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The process cannot open more descriptors or start more threads.
    #[error("http: too few file descriptors, threads or memory for the pages: {0}")]
    Resources(io::Error),
}

impl From<io::Error> for HttpError {
    fn from(error: io::Error) -> Self {
        Self::Resources(error)
    }
}

fn bind_problem(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program already listens there",
        io::ErrorKind::AddrNotAvailable => "this machine does not have this address",
        io::ErrorKind::PermissionDenied => "this user is not permitted to listen there",
        _ => "the system refuses it",
    }
}

#[cfg(test)]
mod tests;
