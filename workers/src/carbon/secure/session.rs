//! A TLS session on a TCP stream.
//!
//! What a peer has read is known only from TCP: its end (FIN), or a reset if it has closed with
//! unread data. `close_notify` ends only the direction towards us; a peer sends it before its FIN, or
//! before the reset. So an end with and without it is an orderly end as it is without TLS, and any
//! other fatal alert or invalid record breaks the connection.
//!
//! Our own end is announced with `close_notify` too, as TLS requires: a proxy may take an end without
//! it for an error. An announcement in reply to that of the peer would cause a reset, which would look
//! as if data were lost; so nothing is sent before the state of the peer is known.

use super::flags::TlsClient;
use super::hindrance::Hindrance;
use crate::carbon::deadline::Deadline;
use rustls::ClientConnection;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

/// Maximum number of reads at once. A read takes at most 4 KiB.
const READS: usize = 16;

/// An established session.
#[derive(Debug)]
pub(crate) struct Session {
    connection: ClientConnection,
    client: TlsClient,
    /// Whether part of a record may be missing, after which no other record is valid.
    is_cut: bool,
}

impl Session {
    /// Shakes hands, and verifies the peer.
    pub(crate) fn start(client: &TlsClient, tcp: &TcpStream, until: Instant) -> io::Result<Self> {
        let connection = ClientConnection::new(Arc::clone(&client.config), client.name.clone());
        let connection = connection.map_err(io::Error::other)?;
        let mut session = Self { connection, client: client.clone(), is_cut: true };
        match session.connection.complete_io(&mut Deadline::new(tcp, until)) {
            Ok(_) => session.is_cut = false,
            Err(why) => {
                // The peer may have said why before it closed.
                let said = if is_tls(&why) { None } else { session.last_words(tcp) };
                return Err(Hindrance::of_handshake(said.unwrap_or(why), client));
            }
        }
        Ok(session)
    }

    /// Writes all of `bytes`. rustls buffers at most 64 KiB.
    pub(crate) fn write(&mut self, to: &mut Deadline<'_>, mut bytes: &[u8]) -> io::Result<()> {
        self.is_cut = true;
        while !bytes.is_empty() || self.connection.wants_write() {
            let taken = self.connection.writer().write(bytes)?;
            bytes = bytes.get(taken..).unwrap_or_default();
            while self.connection.wants_write() {
                match self.connection.write_tls(to) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(_) => {}
                    Err(why) if why.kind() == ErrorKind::Interrupted => {}
                    Err(why) => return Err(why),
                }
            }
        }
        self.is_cut = false;
        Ok(())
    }

    /// Reads records and discards their content; returns whether there may be more. The stream must
    /// be non-blocking. An incomplete record is kept until the next call.
    pub(crate) fn read_on(&mut self, mut tcp: &TcpStream) -> io::Result<bool> {
        for _ in 0..READS {
            match self.connection.read_tls(&mut tcp) {
                Ok(0) => return Ok(false),
                Ok(_) => {
                    let state = self.connection.process_new_packets();
                    let state = state.map_err(|why| Hindrance::of_session(why, &self.client))?;
                    self.discard(state.plaintext_bytes_to_read())?;
                    if state.peer_has_closed() {
                        return Ok(false);
                    }
                }
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(why) => return Err(why),
            }
        }
        Ok(true)
    }

    fn discard(&mut self, bytes: usize) -> io::Result<()> {
        let discarded = io::copy(&mut self.connection.reader().take(bytes as u64), &mut io::sink());
        discarded.map(drop)
    }

    /// The error in what the peer has sent before it closed, if there is one.
    fn last_words(&mut self, mut tcp: &TcpStream) -> Option<io::Error> {
        tcp.set_nonblocking(true).ok()?;
        for _ in 0..READS {
            if self.connection.read_tls(&mut tcp).ok()? == 0 {
                return None;
            }
            if let Err(why) = self.connection.process_new_packets() {
                return Some(io::Error::new(ErrorKind::InvalidData, why));
            }
        }
        None
    }

    /// Announces the end, without waiting. Reads what has arrived before, because the system would
    /// otherwise reset the connection.
    pub(crate) fn end(&mut self, mut tcp: &TcpStream) {
        if self.is_cut || tcp.set_nonblocking(true).is_err() {
            return;
        }
        let is_open = self.read_on(tcp);
        self.connection.send_close_notify();
        while is_open.is_ok() && self.connection.wants_write() {
            if self.connection.write_tls(&mut tcp).is_err() {
                return;
            }
        }
    }
}

fn is_tls(why: &io::Error) -> bool {
    why.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}
