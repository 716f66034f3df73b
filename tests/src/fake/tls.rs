//! TLS in front of a fake, with its own certificate authority, and a proxy for tunnels.

use super::authority::Authority;
use anyhow::Context;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Timeout of a silent connection.
const TIMEOUT: Duration = Duration::from_secs(10);

const MAX_BODY_BYTES: u64 = 16 << 20;

/// Accepts connections, one at a time, until it is dropped.
#[derive(Debug)]
struct Acceptor {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Acceptor {
    fn start(name: &str, mut serve: impl FnMut(TcpStream) + Send + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let ended = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&ended);
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            for stream in listener.incoming() {
                if theirs.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let limited = stream.set_read_timeout(Some(TIMEOUT));
                if limited.and_then(|()| stream.set_write_timeout(Some(TIMEOUT))).is_ok() {
                    serve(stream);
                }
            }
        })?;
        Ok(Self { address, ended, thread: Some(thread) })
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread, whether the connection succeeds or not.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A TLS server that forwards each request to a fake. An unknown authority has issued its
/// certificate.
#[derive(Debug)]
pub struct Tls {
    acceptor: Acceptor,
    authority: Authority,
}

impl Tls {
    /// The name of the authority.
    pub const AUTHORITY: &'static str = "Company Root CA";

    /// Starts on a free port, for a server of these names, in front of the fake at `url`.
    ///
    /// # Errors
    /// If there is no free port, no thread can be started, or the certificate cannot be created.
    pub fn before(url: &str, names: &[&str]) -> anyhow::Result<Self> {
        let plain: SocketAddr = url.trim_start_matches("http://").parse()?;
        let authority = Authority::new(Self::AUTHORITY)?;
        let config = authority.issue(names)?.server(None)?;
        let acceptor = Acceptor::start("fake-tls", move |stream| {
            // A client that rejects the certificate disconnects; that is what is tested.
            hand_on(stream, plain, &config).ok();
        })?;
        Ok(Self { acceptor, authority })
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.acceptor.address.port()
    }

    /// Writes the certificate of the authority to a file, in PEM format.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_authority(&self, file: &Path) -> io::Result<()> {
        std::fs::write(file, self.authority.pem())
    }
}

/// Forwards one request and returns the answer.
fn hand_on(stream: TcpStream, plain: SocketAddr, config: &Arc<ServerConfig>) -> anyhow::Result<()> {
    let connection = ServerConnection::new(Arc::clone(config))?;
    let mut client = BufReader::new(StreamOwned::new(connection, stream));
    let (head, length) = head(&mut client)?;
    let mut body = vec![0; usize::try_from(length.min(MAX_BODY_BYTES))?];
    client.read_exact(&mut body)?;
    let mut server = TcpStream::connect(plain)?;
    server.write_all(&[head, body].concat())?;
    let mut answer = Vec::new();
    server.take(MAX_BODY_BYTES).read_to_end(&mut answer)?;
    let client = client.get_mut();
    client.write_all(&answer)?;
    client.conn.send_close_notify();
    client.flush()?;
    Ok(client.sock.shutdown(Shutdown::Write)?)
}

/// The head of a request, and the length of its body.
fn head(from: &mut impl BufRead) -> anyhow::Result<(Vec<u8>, u64)> {
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = Vec::new();
        from.take(MAX_BODY_BYTES).read_until(b'\n', &mut line)?;
        anyhow::ensure!(!line.is_empty(), "the head is incomplete");
        let text = String::from_utf8_lossy(&line).to_ascii_lowercase();
        if let Some(value) = text.strip_prefix("content-length:") {
            length = value.trim().parse().context("a length")?;
        }
        let is_last = text.trim().is_empty();
        head.extend(line);
        if is_last {
            return Ok((head, length));
        }
    }
}

/// A proxy that connects every tunnel to one port of this machine, whatever host is requested.
#[derive(Debug)]
pub struct ConnectProxy {
    acceptor: Acceptor,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    /// Starts on a free port, with tunnels to `port`.
    ///
    /// # Errors
    /// If there is no free port, or no thread can be started.
    pub fn to(port: u16) -> io::Result<Self> {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let value = Arc::clone(&asked);
        let acceptor = Acceptor::start("fake-proxy", move |stream| {
            // A client may disconnect at any time.
            tunnel(stream, port, &value).ok();
        })?;
        Ok(Self { acceptor, asked })
    }

    /// Its URL: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.acceptor.address)
    }

    /// The first lines of all requests, such as `CONNECT host:443 HTTP/1.1`, each followed by its
    /// `Proxy-Authorization`, if there was one.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn tunnel(stream: TcpStream, port: u16, asked: &Mutex<Vec<String>>) -> anyhow::Result<()> {
    let mut client = BufReader::new(stream);
    let (head, _) = head(&mut client)?;
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut first = text.lines().next().unwrap_or_default().to_owned();
    for line in text.lines().filter(|line| line.starts_with("Proxy-Authorization")) {
        first.extend([" ", line]);
    }
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(first);
    let server = TcpStream::connect(("127.0.0.1", port))?;
    let mut client = client.into_inner();
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    let there = Builder::new().name("fake-tunnel".to_owned()).spawn(move || {
        // Either side may disconnect.
        io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Write).ok();
    })?;
    let mut server = server;
    io::copy(&mut server, &mut client).ok();
    client.shutdown(Shutdown::Both).ok();
    drop(there.join());
    Ok(())
}
