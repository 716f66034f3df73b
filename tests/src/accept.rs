//! Accepts a connection from a program that also connects to check whether a server is running.

use crate::running::must;
use crate::wait::DEADLINE;
use std::net::{TcpListener, TcpStream};

/// Waits for a connection that carries data. At its start, a worker also opens and closes a
/// connection to check whether its backend is reachable.
///
/// # Panics
/// If no data arrives within [`DEADLINE`] of a connection.
#[must_use]
#[track_caller]
pub fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        let (stream, _) = must("a connection", listener.accept());
        must("a timeout", stream.set_read_timeout(Some(DEADLINE)));
        if must("the first byte", stream.peek(&mut [0])) > 0 {
            must("no timeout", stream.set_read_timeout(None));
            return stream;
        }
    }
}
