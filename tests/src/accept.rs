//! Takes a connection of a program that also looks whether somebody listens.

use crate::running::must;
use crate::wait::DEADLINE;
use std::net::{TcpListener, TcpStream};

/// Waits for a connection over which something comes. A worker that starts opens one and closes it,
/// to see whether its backend is there.
///
/// # Panics
/// When nothing comes within [`DEADLINE`] of a connection.
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
