//! A recording proxy: forwards bytes between a client and a port, and keeps all of them.

use crate::running::must;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

/// Listens on its own port and forwards to another. Dropping it closes all connections.
#[derive(Debug)]
pub struct Recorder {
    port: u16,
    state: Arc<State>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    stopped: AtomicBool,
    bytes: Mutex<Vec<u8>>,
    connections: Mutex<Vec<(TcpStream, JoinHandle<()>)>>,
}

impl Recorder {
    /// Starts a proxy for this port of 127.0.0.1.
    ///
    /// # Panics
    /// If it cannot listen.
    #[must_use]
    #[track_caller]
    pub fn before(port: u16) -> Self {
        let listener = must("a recorder", TcpListener::bind(("127.0.0.1", 0)));
        let own = must("a recorder", listener.local_addr()).port();
        let state = Arc::new(State::default());
        let accepted = Arc::clone(&state);
        let accept = move || accepted.accept(&listener, port);
        let accepting = must("a recorder", Builder::new().name("recorder".into()).spawn(accept));
        Self { port: own, state, accepting: Some(accepting) }
    }

    /// The port to connect to, instead of the one behind it.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Number of bytes that have passed, in both directions.
    #[must_use]
    pub fn count(&self) -> usize {
        locked(&self.state.bytes).len()
    }

    /// Whether these bytes have passed as one sequence.
    #[must_use]
    pub fn saw(&self, text: &str) -> bool {
        locked(&self.state.bytes).windows(text.len()).any(|bytes| bytes == text.as_bytes())
    }
}

impl State {
    fn accept(self: &Arc<Self>, listener: &TcpListener, port: u16) {
        while let Ok((client, _)) = listener.accept() {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            // If nothing listens there, the client must notice that by itself.
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            let pairs = [(client.try_clone(), server.try_clone()), (Ok(server), Ok(client))];
            for (from, to) in pairs {
                let (Ok(from), Ok(to)) = (from, to) else { continue };
                let Ok(to_cut) = from.try_clone() else { continue };
                let state = Arc::clone(self);
                let hand_on = move || state.hand_on(from, to);
                if let Ok(thread) = Builder::new().name("recorder".into()).spawn(hand_on) {
                    locked(&self.connections).push((to_cut, thread));
                }
            }
        }
    }

    fn hand_on(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = [0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let some = bytes.get(..count).unwrap_or_default();
            locked(&self.bytes).extend_from_slice(some);
            if to.write_all(some).is_err() {
                break;
            }
        }
        // Either side may have already closed.
        to.shutdown(Shutdown::Both).ok();
        from.shutdown(Shutdown::Both).ok();
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.accepting.take() {
            drop(thread.join());
        }
        for (stream, thread) in locked(&self.state.connections).drain(..) {
            stream.shutdown(Shutdown::Both).ok();
            drop(thread.join());
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Recorder;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn bytes_in_both_directions_are_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let recorder = Recorder::before(listener.local_addr().unwrap().port());
        let mut client = TcpStream::connect(("127.0.0.1", recorder.port())).unwrap();
        client.write_all(b"there").unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let mut bytes = [0; 5];
        server.read_exact(&mut bytes).unwrap();
        server.write_all(b"and back").unwrap();
        let mut back = [0; 8];
        client.read_exact(&mut back).unwrap();
        assert_eq!((&bytes, &back), (b"there", b"and back"));
        assert!(recorder.saw("there") && recorder.saw("and back") && !recorder.saw("elsewhere"));
        assert_eq!(recorder.count(), 13);
        drop(recorder);
        assert_eq!(client.read(&mut back).unwrap_or(0), 0);
    }
}
