//! A receiver of lines that counts them: it reads each connection to its end, and then closes it, as
//! Carbon does.

use crate::running::must;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

/// The lines of each connection that has ended.
type Connections = Arc<Mutex<Vec<Vec<String>>>>;

/// Receives lines on a port of 127.0.0.1, one connection at a time. Dropping it closes the port.
#[derive(Debug)]
pub struct Lines {
    address: SocketAddr,
    connections: Connections,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Lines {
    /// Starts on a port, or on a free one if it is 0.
    ///
    /// # Panics
    /// If the port is not free.
    #[must_use]
    #[track_caller]
    pub fn at(port: u16) -> Self {
        let listener = must("a receiver of lines", TcpListener::bind(("127.0.0.1", port)));
        let address = must("its address", listener.local_addr());
        let (connections, stopped) = (Connections::default(), Arc::new(AtomicBool::new(false)));
        let (kept, is_over) = (Arc::clone(&connections), Arc::clone(&stopped));
        let thread = Builder::new().name("lines".into()).spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                let mut bytes = Vec::new();
                // A connection that is cut has what was written before.
                drop(stream.read_to_end(&mut bytes));
                let text = String::from_utf8_lossy(&bytes);
                let lines = text.lines().map(str::to_owned).collect();
                locked(&kept).push(lines);
            }
        });
        Self { address, connections, stopped, thread: Some(must("a receiver of lines", thread)) }
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All lines so far, in their order.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        locked(&self.connections).concat()
    }

    /// The lines of each connection that has ended.
    #[must_use]
    pub fn by_connection(&self) -> Vec<Vec<String>> {
        locked(&self.connections).clone()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener; if that fails, it has already ended.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed; another one here would abort.
            drop(thread.join());
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that panics while it reads leaves valid data.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Lines;
    use crate::wait::{DEADLINE, wait_until};
    use std::io::Write;
    use std::net::TcpStream;

    #[test]
    fn lines_are_kept_by_connection() {
        let lines = Lines::at(0);
        for text in ["a\nb\n", "c"] {
            let mut stream = TcpStream::connect(("127.0.0.1", lines.port())).unwrap();
            stream.write_all(text.as_bytes()).unwrap();
        }
        wait_until(DEADLINE, "three lines", || lines.all().len() == 3);
        assert_eq!(lines.by_connection(), [vec!["a", "b"], vec!["c"]]);
    }
}
