//! A proxy between two programs that forwards bytes and simulates faults of networks.

use super::pipe::{Conn, Flow};
use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

/// Maximum time until a change takes effect, in nanoseconds.
const TICK: i64 = 10_000_000;

/// Maximum number of connections.
const MAX_CONNECTIONS: usize = 64;

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Bytes are forwarded.
    Pass,
    /// Nothing is forwarded; it is forwarded later.
    Stalled,
    /// The client disappears without closing the connection; the server notices this later.
    ClientGone,
    /// The server disappears without closing the connection; the client notices this later.
    ServerGone,
    /// Each connection is closed after this number of bytes to the server.
    CutUp(usize),
    /// Each connection is closed after this number of bytes to the client.
    CutDown(usize),
}

impl Mode {
    const fn flow(self) -> Flow {
        match self {
            Self::Pass => Flow { up: usize::MAX, down: usize::MAX },
            Self::CutUp(bytes) => Flow { up: bytes, down: usize::MAX },
            Self::CutDown(bytes) => Flow { up: usize::MAX, down: bytes },
            Self::Stalled | Self::ClientGone | Self::ServerGone => Flow { up: 0, down: 0 },
        }
    }

    const fn moves(self) -> bool {
        matches!(self, Self::Pass | Self::CutUp(_) | Self::CutDown(_))
    }
}

#[derive(Debug, Clone, Copy)]
struct Wish {
    mode: Mode,
    /// Number of requests to reset all connections.
    resets: u64,
}

/// A proxy with its own thread.
#[derive(Debug)]
pub(crate) struct Proxy {
    wish: Arc<Mutex<Wish>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on the first port of each pair, and forwards to the second.
    pub(crate) fn start(name: &str, routes: &[(u16, u16)]) -> anyhow::Result<Self> {
        let mut listeners = Vec::new();
        for (from, to) in routes {
            let listener = TcpListener::bind(("127.0.0.1", *from)).context("the port is in use")?;
            listener.set_nonblocking(true)?;
            listeners.push((listener, *to));
        }
        let wish = Arc::new(Mutex::new(Wish { mode: Mode::Pass, resets: 0 }));
        let stop = Arc::new(AtomicBool::new(false));
        let (heard, ends) = (Arc::clone(&wish), Arc::clone(&stop));
        let mut worker = Worker { listeners, conns: Vec::new(), mode: Mode::Pass, resets: 0 };
        let run = move || {
            while !ends.load(Ordering::Relaxed) {
                let wish = *heard.lock().unwrap_or_else(PoisonError::into_inner);
                worker.obey(wish);
                worker.turn();
            }
        };
        let thread = Some(Builder::new().name(name.to_owned()).spawn(run)?);
        Ok(Self { wish, stop, thread })
    }

    /// Sets what happens to connections from now on.
    pub(crate) fn set(&self, mode: Mode) {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner).mode = mode;
    }

    /// Resets all connections.
    pub(crate) fn reset(&self) {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner).resets += 1;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A panic of the thread was printed; another one here would abort.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

struct Worker {
    listeners: Vec<(TcpListener, u16)>,
    conns: Vec<Conn>,
    mode: Mode,
    resets: u64,
}

impl Worker {
    fn obey(&mut self, wish: Wish) {
        if wish.resets != self.resets {
            self.resets = wish.resets;
            self.conns.drain(..).for_each(Conn::reset);
        }
        if wish.mode == self.mode {
            return;
        }
        match self.mode {
            // The side that disappeared is back, and does not know the connections.
            Mode::ClientGone | Mode::ServerGone => self.conns.drain(..).for_each(Conn::reset),
            Mode::Pass | Mode::Stalled | Mode::CutUp(_) | Mode::CutDown(_) => {}
        }
        self.mode = wish.mode;
        match self.mode {
            Mode::ClientGone => self.conns.iter_mut().for_each(Conn::lose_client),
            Mode::ServerGone => self.conns.iter_mut().for_each(Conn::lose_server),
            Mode::Pass | Mode::Stalled | Mode::CutUp(_) | Mode::CutDown(_) => {}
        }
    }

    fn turn(&mut self) {
        self.wait();
        if !self.mode.moves() {
            return;
        }
        self.accept();
        let flow = self.mode.flow();
        self.conns.retain_mut(|conn| conn.turn(flow));
    }

    fn wait(&self) {
        let tick = Timespec { tv_sec: 0, tv_nsec: TICK };
        let mut fds = Vec::new();
        if self.mode.moves() {
            fds.extend(self.listeners.iter().map(|(l, _)| PollFd::new(l, PollFlags::IN)));
            let sides = self.conns.iter().flat_map(Conn::waits_for);
            fds.extend(sides.map(|(stream, flags)| PollFd::new(stream, flags)));
        }
        // After an interrupted wait the loop checks again.
        poll(&mut fds, Some(&tick)).ok();
    }

    fn accept(&mut self) {
        for (listener, to) in &self.listeners {
            while self.conns.len() < MAX_CONNECTIONS {
                let Ok((client, _)) = listener.accept() else { break };
                match TcpStream::connect(("127.0.0.1", *to)) {
                    Ok(server) => self.conns.extend(Conn::new(client, server)),
                    Err(_) => super::pipe::reset(client),
                }
            }
        }
    }
}
