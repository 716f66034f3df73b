//! A server with TLS in the place of Carbon: keeps what it reads, and ends connections as it is told.

use rustix::net::sockopt::set_socket_linger;
use rustls::{ServerConfig, ServerConnection};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

/// Interval in which a connection looks for what it is told.
const STEP: Duration = Duration::from_millis(10);

/// Timeout of a handshake.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// How a connection is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// With `close_notify` and an end of TCP (FIN).
    Announced,
    /// With an end of TCP alone, as if the process were killed.
    Silent,
    /// With a reset of TCP.
    Reset,
}

/// A server on a free port of 127.0.0.1. Each connection has a thread, which ends with the connection
/// or the process.
#[derive(Debug)]
pub struct TlsPeer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    received: Mutex<Vec<u8>>,
    names: Mutex<Vec<Option<String>>>,
    /// The endings that were ordered; a connection obeys those after it was accepted.
    endings: Mutex<Vec<Ending>>,
    to_send: Mutex<Vec<u8>>,
    accepted: AtomicUsize,
    ended: AtomicUsize,
    /// A connection that reads this is reset.
    dislikes: Option<&'static [u8]>,
}

impl TlsPeer {
    /// Starts a server that keeps everything.
    ///
    /// # Errors
    /// If there is no free port, or no thread can be started.
    pub fn start(config: Arc<ServerConfig>) -> io::Result<Self> {
        Self::start_with(config, None)
    }

    /// Starts a server that resets each connection on which it reads these bytes.
    ///
    /// # Errors
    /// If there is no free port, or no thread can be started.
    pub fn disliking(config: Arc<ServerConfig>, bytes: &'static [u8]) -> io::Result<Self> {
        Self::start_with(config, Some(bytes))
    }

    fn start_with(config: Arc<ServerConfig>, dislikes: Option<&'static [u8]>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { dislikes, ..Shared::default() });
        let theirs = Arc::clone(&shared);
        let accept = move || {
            while let Ok((tcp, _)) = listener.accept() {
                let (config, shared) = (Arc::clone(&config), Arc::clone(&theirs));
                let obeyed = lock(&shared.endings).len();
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                let serve = move || {
                    // A client that rejects the certificate, or is rejected, disconnects.
                    serve(tcp, &config, &shared, obeyed).ok();
                    shared.ended.fetch_add(1, Ordering::SeqCst);
                };
                if Builder::new().name("fake-peer".to_owned()).spawn(serve).is_err() {
                    return;
                }
            }
        };
        Builder::new().name("fake-peers".to_owned()).spawn(accept)?;
        Ok(Self { address, shared })
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Everything that was read so far.
    #[must_use]
    pub fn received(&self) -> String {
        String::from_utf8_lossy(&lock(&self.shared.received)).into_owned()
    }

    /// Everything that was read so far.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        lock(&self.shared.received).clone()
    }

    /// The names that clients asked for (SNI), by connection.
    #[must_use]
    pub fn names(&self) -> Vec<Option<String>> {
        lock(&self.shared.names).clone()
    }

    /// Number of connections that were accepted, and that have ended.
    #[must_use]
    pub fn connections(&self) -> (usize, usize) {
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        (count(&self.shared.accepted), count(&self.shared.ended))
    }

    /// Ends all connections, which takes a moment; [`connections`](Self::connections) says when it is
    /// done.
    pub fn end(&self, ending: Ending) {
        lock(&self.shared.endings).push(ending);
    }

    /// Lets the next connection that looks send these bytes, in records of its own.
    pub fn send(&self, bytes: &[u8]) {
        lock(&self.shared.to_send).extend_from_slice(bytes);
    }
}

fn serve(
    mut tcp: TcpStream,
    config: &Arc<ServerConfig>,
    shared: &Shared,
    obeyed: usize,
) -> anyhow::Result<()> {
    tcp.set_read_timeout(Some(HANDSHAKE))?;
    tcp.set_write_timeout(Some(HANDSHAKE))?;
    let mut tls = ServerConnection::new(Arc::clone(config))?;
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp)?;
    }
    lock(&shared.names).push(tls.server_name().map(str::to_owned));
    tcp.set_read_timeout(Some(STEP))?;
    let mut recent = Vec::new();
    loop {
        let ending = lock(&shared.endings).get(obeyed).copied();
        if let Some(ending) = ending {
            return end(tcp, tls, ending);
        }
        let sends = std::mem::take(&mut *lock(&shared.to_send));
        tls.writer().write_all(&sends)?;
        while tls.wants_write() {
            tls.write_tls(&mut tcp)?;
        }
        // Data may have arrived together with the end of the handshake.
        let state = tls.process_new_packets()?;
        let mut read = vec![0; state.plaintext_bytes_to_read()];
        tls.reader().read_exact(&mut read)?;
        recent.extend_from_slice(&read);
        if let Some(dislikes) = shared.dislikes
            && recent.windows(dislikes.len()).any(|bytes| bytes == dislikes)
        {
            return end(tcp, tls, Ending::Reset);
        }
        // A line may arrive in parts.
        recent.drain(..recent.len().saturating_sub(64));
        lock(&shared.received).extend_from_slice(&read);
        match tls.read_tls(&mut tcp) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(why) => return Err(why.into()),
        }
    }
}

fn end(mut tcp: TcpStream, mut tls: ServerConnection, ending: Ending) -> anyhow::Result<()> {
    match ending {
        Ending::Announced => {
            tls.send_close_notify();
            while tls.wants_write() {
                tls.write_tls(&mut tcp)?;
            }
        }
        Ending::Silent => {}
        Ending::Reset => set_socket_linger(&tcp, Some(Duration::ZERO))?,
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
