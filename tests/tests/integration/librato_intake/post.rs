//! Requests over a connection each, as python-librato sends them.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than the broker waits for its disk.
const PATIENCE: Duration = Duration::from_secs(60);

/// The user and the token, as HTTP's scheme Basic encodes them.
const CREDENTIALS: &str = "dXNlckBleGFtcGxlLmNvbTp0b2sxMjM=";

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The answer has this status.
    Answered(u16),
    /// It was sent, and the connection ended without an answer.
    InDoubt,
    /// There was no connection.
    NotSent,
}

/// Sends a body to a path, and waits for the answer.
pub(super) fn post(address: &str, path: &str, body: &str) -> Outcome {
    let Ok(mut stream) = TcpStream::connect(address) else { return Outcome::NotSent };
    match ask(&mut stream, path, body) {
        Ok(Some(status)) => Outcome::Answered(status),
        Ok(None) | Err(_) => Outcome::InDoubt,
    }
}

fn ask(stream: &mut TcpStream, path: &str, body: &str) -> io::Result<Option<u16>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Basic {CREDENTIALS}\r\n\
         Connection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split(' ').nth(1).and_then(|status| status.parse().ok()))
}
