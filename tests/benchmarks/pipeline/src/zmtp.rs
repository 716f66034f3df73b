//! A peer with its own ZMTP 3.0 over a plain TCP connection. It costs almost nothing, so that only
//! the other side is measured, and it can violate the protocol.

use crate::Failure;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// Timeout of the greeting.
const DEADLINE: Duration = Duration::from_secs(20);

/// A connection after the greeting.
#[derive(Debug)]
pub struct Peer {
    pub stream: TcpStream,
}

impl Peer {
    /// Connects to a port of this machine, as a socket of this type: `PUSH`, `SUB`, `DEALER`.
    pub fn connect(port: u16, kind: &str) -> Result<Self, Failure> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.write_all(&greeting())?;
        stream.write_all(&ready(kind))?;
        let mut theirs = [0; 64];
        stream.read_exact(&mut theirs)?;
        if theirs[0] != 0xff || theirs[9] != 0x7f || theirs[10] < 3 {
            return Err("the other side does not speak ZMTP 3".into());
        }
        let mut peer = Self { stream };
        let (flags, _) = peer.frame()?;
        if flags & COMMAND == 0 {
            return Err("the other side is not ready".into());
        }
        peer.stream.set_read_timeout(None)?;
        Ok(peer)
    }

    /// Subscribes to a topic, like a SUB socket.
    pub fn subscribe(&mut self, topic: &str) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        put_frame(&mut bytes, &[&[1], topic.as_bytes()].concat(), false);
        Ok(self.stream.write_all(&bytes)?)
    }

    /// The next frame: its flags and its body.
    pub fn frame(&mut self) -> Result<(u8, Vec<u8>), Failure> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head)?;
        let mut length = u64::from(head[1]);
        if head[0] & LONG != 0 {
            let mut rest = [0; 7];
            self.stream.read_exact(&mut rest)?;
            length = rest.iter().fold(length, |length, byte| length << 8 | u64::from(*byte));
        }
        let mut body = vec![0; usize::try_from(length)?];
        self.stream.read_exact(&mut body)?;
        Ok((head[0], body))
    }

    /// The frames of the next message.
    pub fn message(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        let mut frames = Vec::new();
        loop {
            let (flags, body) = self.frame()?;
            if flags & COMMAND != 0 {
                continue;
            }
            frames.push(body);
            if flags & MORE == 0 {
                return Ok(frames);
            }
        }
    }
}

/// The greeting of a peer without encryption.
pub fn greeting() -> [u8; 64] {
    let mut greeting = [0; 64];
    (greeting[0], greeting[9]) = (0xff, 0x7f);
    greeting[10] = 3;
    greeting[12..16].copy_from_slice(b"NULL");
    greeting
}

fn ready(kind: &str) -> Vec<u8> {
    let mut body = b"\x05READY\x0bSocket-Type".to_vec();
    body.extend_from_slice(&(kind.len() as u32).to_be_bytes());
    body.extend_from_slice(kind.as_bytes());
    let mut command = vec![COMMAND, body.len() as u8];
    command.extend_from_slice(&body);
    command
}

/// Appends a frame of a message.
pub fn put_frame(bytes: &mut Vec<u8>, body: &[u8], more: bool) {
    let more = if more { MORE } else { 0 };
    match u8::try_from(body.len()) {
        Ok(length) => bytes.extend_from_slice(&[more, length]),
        Err(_) => {
            bytes.push(more | LONG);
            bytes.extend_from_slice(&(body.len() as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(body);
}
