//! The thread that speaks HTTP: accepts connections, checks users, receives bodies, and passes requests
//! on. It neither decodes measurements nor waits for the disk, so that it serves all clients.

mod admission;
mod body;
mod connections;
mod respond;
mod route;
mod shared;

pub(super) use admission::Admission;

use super::job::Job;
use super::memory::Memory;
use super::tally::Tally;
use crate::libzmq::reserve::is_reserved;
use connections::{Connections, Use};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use shared::Shared;
use std::cell::RefCell;
use std::future::{Future as _, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time::timeout;
use zibrato::daemon::{Stop, Waker};

/// Maximum time for the head of a request, and between two requests of a connection. It is longer than
/// the minute after which many clients send again.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// The first byte of a client that speaks TLS: the type of a record, RFC 8446, section 5.1.
const TLS_HANDSHAKE: u8 = 22;

/// Maximum size of the head of a request, in bytes.
const HEAD_BYTES: usize = 64 << 10;

/// Pause after a failed accept, because descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Maximum time to finish open answers when the broker stops.
const LAST_ANSWERS: Duration = Duration::from_millis(700);

/// Everything that the thread needs.
pub(super) struct Server {
    pub(super) listeners: Vec<StdListener>,
    pub(super) admission: Admission,
    pub(super) jobs: SyncSender<Job>,
    /// Wakes the thread that takes the jobs.
    pub(super) waker: Arc<Waker>,
    pub(super) tally: Arc<Tally>,
    pub(super) memory: Memory,
    pub(super) stop: Stop,
}

impl Server {
    /// Serves until the broker stops.
    ///
    /// # Errors
    /// If the process lacks resources.
    pub(super) fn run(self) -> io::Result<()> {
        let Self { listeners, admission, jobs, waker, tally, memory, stop } = self;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let admission = RefCell::new(admission);
        let (connections, stops) = (Connections::new(), Notify::new());
        let shared = Rc::new(Shared { admission, jobs, waker, tally, memory, connections, stops });
        LocalSet::new().block_on(&runtime, serve(listeners, &stop, &shared))
    }
}

async fn serve(listeners: Vec<StdListener>, stop: &Stop, shared: &Rc<Shared>) -> io::Result<()> {
    let mut accepting = Vec::new();
    for listener in listeners {
        listener.set_nonblocking(true)?;
        let (listener, shared) = (TcpListener::from_std(listener)?, Rc::clone(shared));
        accepting.push(tokio::task::spawn_local(accept_all(listener, shared)));
    }
    stopped(stop).await?;
    // This closes the listeners.
    accepting.iter().for_each(tokio::task::JoinHandle::abort);
    shared.stops.notify_waiters();
    let begun = Instant::now();
    while !shared.connections.is_empty() && begun.elapsed() < LAST_ANSWERS {
        // Idle ones would only wait for the next request.
        while shared.connections.close_idle() {}
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Waits until the broker stops.
async fn stopped(stop: &Stop) -> io::Result<()> {
    // The token is one end of a socket pair, which becomes readable when the token is raised.
    let stop = UnixStream::from_std(stop.as_fd().try_clone_to_owned()?.into())?;
    poll_fn(|context| stop.poll_read_ready(context)).await
}

async fn accept_all(listener: TcpListener, shared: Rc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, sender)) => open(stream, sender, &shared),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Serves a connection, if there is room.
fn open(stream: TcpStream, sender: SocketAddr, shared: &Rc<Shared>) {
    let connections = &shared.connections;
    // Otherwise idle clients would take what the journal needs.
    if !connections.has_room() || is_reserved(stream.as_raw_fd()) {
        let was_idle = connections.close_idle();
        let why = "clients are many, or descriptors few";
        shared.tally.refuse("connections", why, || {
            let whose = if was_idle { "an idle connection" } else { "the connection" };
            format!("from {sender}: {whose} was closed")
        });
        if !was_idle {
            return;
        }
    }
    // Answers are small, and clients wait for them.
    stream.set_nodelay(true).ok();
    let (id, use_of) = (connections.next_id(), Use::new());
    let task = converse(stream, sender, Rc::clone(&use_of), Rc::clone(shared));
    let ended = Rc::clone(shared);
    let task = tokio::task::spawn_local(async move {
        task.await;
        ended.connections.remove(id);
    });
    connections.add(id, use_of, task.abort_handle());
}

/// Whether a client begins with TLS. Waits for its first byte.
async fn speaks_tls(stream: &TcpStream) -> bool {
    let mut first = [0];
    let peeked = timeout(HEAD_TIMEOUT, stream.peek(&mut first)).await;
    matches!(peeked, Ok(Ok(1))) && first == [TLS_HANDSHAKE]
}

/// Answers the requests of a connection.
async fn converse(stream: TcpStream, sender: SocketAddr, use_of: Rc<Use>, shared: Rc<Shared>) {
    if speaks_tls(&stream).await {
        let why = "the client speaks HTTPS, and this is HTTP: let it use http://, or put a proxy with \
                   TLS in front";
        return shared.tally.refuse("tls", why, || format!("from {sender}"));
    }
    let service = service_fn(|request| {
        respond::respond(request, sender, Rc::clone(&shared), Rc::clone(&use_of))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let (mut stops, mut is_stopping) = (pin!(shared.stops.notified()), false);
    let ended = poll_fn(|context| {
        if !is_stopping && stops.as_mut().poll(context).is_ready() {
            is_stopping = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(context)
    })
    .await;
    // Other errors are those of clients that have gone, or that were idle for long.
    if let Err(error) = ended
        && error.is_parse()
    {
        shared.tally.refuse("http", &error.to_string(), || format!("from {sender}"));
    }
}
