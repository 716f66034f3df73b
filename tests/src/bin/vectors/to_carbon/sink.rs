//! A receiver on this machine, to which the product writes.

use crate::carbon::carbon;
use anyhow::{Context as _, ensure};
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};
use zibrato_workers::carbon::{Carbon, Protocol};
use zibrato_workers::{Backend as _, Payload, SendError};

/// The longest wait for anything.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// What was written, and what was refused before.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) bytes: Vec<u8>,
    /// Whether each payload was accepted for writing.
    pub(super) accepted: Vec<bool>,
}

/// The backend that delivers to an address, with more flags.
pub(super) fn carbon_at(
    protocol: Protocol,
    address: SocketAddr,
    flags: &[String],
) -> anyhow::Result<Carbon> {
    let scheme = match protocol {
        Protocol::Pickle => "pickle",
        Protocol::Udp => "udp",
        _ => "tcp",
    };
    let mut all = flags.to_vec();
    all.push(format!("--carbon={scheme}://{address}"));
    carbon(&all)
}

/// Writes the payloads that `make` returns. A payload that the product refuses is not written.
pub(super) fn written(
    protocol: Protocol,
    flags: &[String],
    make: impl FnOnce(&mut Carbon) -> anyhow::Result<Vec<Payload>>,
) -> anyhow::Result<Written> {
    if protocol == Protocol::Udp {
        return in_datagrams(flags, make);
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut carbon = carbon_at(protocol, listener.local_addr()?, flags)?;
    let payloads = make(&mut carbon)?;
    thread::scope(|scope| {
        let reader = scope.spawn(|| -> anyhow::Result<Vec<u8>> { read(&listener) });
        let accepted = send(&mut carbon, &payloads)?;
        if !accepted.contains(&true) {
            // The reader waits for a connection, which the product may not have made.
            drop(TcpStream::connect(listener.local_addr()?)?);
        }
        drop(carbon);
        let bytes = reader.join().ok().context("the reader panicked")??;
        Ok(Written { bytes, accepted })
    })
}

/// Reads one connection to its end.
fn read(listener: &TcpListener) -> anyhow::Result<Vec<u8>> {
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether each payload was accepted for writing.
fn send(carbon: &mut Carbon, payloads: &[Payload]) -> anyhow::Result<Vec<bool>> {
    let mut accepted = Vec::new();
    for payload in payloads {
        match carbon.send(payload) {
            Ok(()) => accepted.push(true),
            Err(SendError::Reject { .. }) => accepted.push(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(accepted)
}

fn in_datagrams(
    flags: &[String],
    make: impl FnOnce(&mut Carbon) -> anyhow::Result<Vec<Payload>>,
) -> anyhow::Result<Written> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(DEADLINE))?;
    let mut carbon = carbon_at(Protocol::Udp, socket.local_addr()?, flags)?;
    let payloads = make(&mut carbon)?;
    let accepted = send(&mut carbon, &payloads)?;
    let sent = payloads.iter().zip(&accepted).filter(|(_, accepted)| **accepted);
    let length: usize = sent.map(|(payload, _)| payload.body.len()).sum();
    let (mut bytes, mut datagram) = (Vec::new(), vec![0; 65_536]);
    let begun = Instant::now();
    while bytes.len() < length {
        ensure!(begun.elapsed() < DEADLINE, "{} of {length} bytes arrive", bytes.len());
        let received = socket.recv(&mut datagram)?;
        bytes.extend(datagram.iter().take(received));
    }
    Ok(Written { bytes, accepted })
}
