//! One connection to Carbon, with or without TLS: connects, writes within a deadline, and returns the
//! state of the peer.

use super::address::Address;
use super::deadline::Deadline;
use super::secure::{Hindrance, Session, Tls, TlsClient, TlsFlags, speaks_tls};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind, Read, Write};
#[cfg(feature = "slack")]
use std::net::Shutdown;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};
use zibrato::daemon::Failure;

/// Maximum number of reads at once to discard data from the peer. Carbon sends nothing.
const IGNORED_READS: usize = 16;

/// Time to wait for a reset after an orderly end.
const RESET: Duration = Duration::from_secs(1);

/// Timeout of the question whether the server speaks TLS.
const QUESTION: Duration = Duration::from_secs(1);

/// The state of the peer.
pub(super) enum Peer {
    /// It has closed the connection with unread data, or its machine has failed, or it has ended TLS
    /// with an error.
    Broken(io::Error),
    /// It has read everything, and closed the connection.
    Closed,
    Open,
}

/// Whether an error says that the peer has ended the connection.
pub(super) fn is_break(why: &io::Error) -> bool {
    matches!(
        why.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

/// How to connect.
#[derive(Debug)]
pub(super) struct Dial {
    address: Address,
    timeout: Duration,
    /// Filled at the first connection, if [`set_tls`](Self::set_tls) was not called.
    tls: Option<(Tls, TlsClient)>,
}

impl Dial {
    pub(super) const fn to(address: Address, timeout: Duration) -> Self {
        Self { address, timeout, tls: None }
    }

    pub(super) const fn address(&self) -> &Address {
        &self.address
    }

    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) const fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Sets whom to trust, and the client certificate, if the address uses TLS.
    pub(super) fn set_tls(&mut self, tls: &Tls) -> Result<(), Failure> {
        if self.address.protocol().is_tls() {
            self.tls = Some((tls.clone(), tls.client(&self.address)?));
        }
        Ok(())
    }

    /// Reads the certificates again if their files have changed. While they cannot be used, such as
    /// between the writes of a certificate and its key, those that were read before are used.
    fn renew_tls(&mut self) {
        let Some(changed) = self.tls.as_mut().and_then(|(tls, _)| tls.changed()) else { return };
        let address = self.address.to_string();
        match changed.and_then(|tls| self.set_tls(&tls)) {
            Ok(()) => tracing::info!(event = "certificates_read_again", address),
            Err(failure) => {
                let why = failure.message;
                let what = "the certificates that were read before are used";
                tracing::warn!(event = "certificates_unusable", address, why, what);
            }
        }
    }

    /// Connects, and shakes hands if the address uses TLS, both within the timeout. Resolving a name
    /// takes as long as the system's resolver allows.
    pub(super) fn connect(&mut self) -> io::Result<Stream> {
        if self.tls.is_none() && self.address.protocol().is_tls() {
            let tls = Tls::load(&TlsFlags::default());
            let set = tls.and_then(|tls| self.set_tls(&tls));
            set.map_err(|failure| Hindrance::of_settings(failure.message))?;
        }
        self.renew_tls();
        let until = Instant::now() + self.timeout;
        let tcp = connect(&self.address, until)?;
        prepare(&tcp, self.timeout)?;
        let layer = match &self.tls {
            None => Layer::Plain { is_first: true },
            Some((_, client)) => Layer::Tls(Box::new(Session::start(client, &tcp, until)?)),
        };
        Ok(Stream { tcp, layer })
    }

    /// Whether the server speaks TLS, although the address does not say so.
    pub(super) fn misses_tls(&self) -> bool {
        let until = Instant::now() + self.timeout.min(QUESTION);
        !self.address.protocol().is_tls()
            && connect(&self.address, until)
                .is_ok_and(|tcp| speaks_tls(self.address.host(), Deadline::new(&tcp, until)))
    }
}

fn connect(to: &Address, until: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in (to.host(), to.port()).to_socket_addrs()? {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            last = ErrorKind::TimedOut.into();
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(tcp) => return Ok(tcp),
            Err(why) => last = why,
        }
    }
    Err(last)
}

fn prepare(tcp: &TcpStream, timeout: Duration) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    // The kernel breaks the connection if the peer does not acknowledge bytes for this time.
    #[cfg(target_os = "linux")]
    {
        let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        rustix::net::sockopt::set_tcp_user_timeout(tcp, millis)?;
    }
    Ok(())
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Stream {
    tcp: TcpStream,
    layer: Layer,
}

/// What is between TCP and the data.
#[derive(Debug)]
enum Layer {
    Plain {
        /// Whether nothing has been read yet.
        is_first: bool,
    },
    Tls(Box<Session>),
}

impl Stream {
    /// Writes all of `bytes`, within the timeout.
    pub(super) fn write(&mut self, bytes: &[u8], timeout: Duration) -> io::Result<()> {
        self.tcp.set_nonblocking(false)?;
        let mut to = Deadline::new(&self.tcp, Instant::now() + timeout);
        let written = match &mut self.layer {
            Layer::Plain { .. } => to.write_all(bytes),
            Layer::Tls(session) => session.write(&mut to, bytes),
        };
        written.map_err(|why| match is_break(&why).then(|| self.read_now()) {
            // The peer may have said why before it closed.
            Some(Err(said)) if Hindrance::find(&said).is_some() => said,
            _ => why,
        })
    }

    /// Ends the writing, and returns the state of the peer within `timeout`. A peer that has read
    /// everything closes too.
    #[cfg(feature = "slack")]
    pub(super) fn finish(&mut self, timeout: Duration) -> Peer {
        if let Layer::Tls(session) = &mut self.layer {
            session.end(&self.tcp);
        }
        if let Err(why) = self.tcp.shutdown(Shutdown::Write) {
            return Peer::Broken(why);
        }
        self.listen(timeout)
    }

    /// The state of the peer, now or within `timeout`.
    pub(super) fn listen(&mut self, timeout: Duration) -> Peer {
        let until = Instant::now() + timeout;
        let state = loop {
            self.wait(PollFlags::IN, until.saturating_duration_since(Instant::now()));
            match self.peer() {
                // Data has arrived, such as the session tickets of TLS 1.3.
                Peer::Open if Instant::now() < until => {}
                state => break state,
            }
        };
        match state {
            Peer::Closed => {
                self.wait(PollFlags::empty(), RESET);
                match self.peer() {
                    Peer::Broken(why) => Peer::Broken(why),
                    Peer::Closed | Peer::Open => Peer::Closed,
                }
            }
            stands => stands,
        }
    }

    /// Waits at most `timeout` for `events`, an error or a reset.
    fn wait(&self, events: PollFlags, timeout: Duration) {
        let timespec = Timespec::try_from(timeout).unwrap_or_default();
        if let Err(why) = poll(&mut [PollFd::new(&self.tcp, events)], Some(&timespec)) {
            // The wait was interrupted; the state of the peer is checked anyway.
            tracing::trace!(event = "poll_interrupted", %why);
        }
    }

    /// The state of the peer, without waiting.
    fn peer(&mut self) -> Peer {
        let looked = self.read_now();
        let pending = self.tcp.take_error();
        match (looked, pending) {
            // This says more than the reset that may follow it.
            (Err(why), _) if Hindrance::find(&why).is_some() => Peer::Broken(why),
            (_, Ok(Some(why)) | Err(why)) | (Err(why), _) => Peer::Broken(why),
            (Ok(true), Ok(None)) => Peer::Open,
            (Ok(false), Ok(None)) => Peer::Closed,
        }
    }

    /// Reads and discards data from the peer, without waiting; returns whether there may be more.
    fn read_now(&mut self) -> io::Result<bool> {
        self.tcp.set_nonblocking(true)?;
        match &mut self.layer {
            Layer::Plain { is_first } => read_on(&self.tcp, is_first),
            Layer::Tls(session) => session.read_on(&self.tcp),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Layer::Tls(session) = &mut self.layer {
            session.end(&self.tcp);
        }
    }
}

fn read_on(mut tcp: &TcpStream, is_first: &mut bool) -> io::Result<bool> {
    let mut ignored = [0; 4096];
    for _ in 0..IGNORED_READS {
        match tcp.read(&mut ignored) {
            Ok(0) => return Ok(false),
            Ok(read) => {
                if std::mem::take(is_first) && is_alert(ignored.get(..read).unwrap_or_default()) {
                    return Err(Hindrance::needs_tls().into());
                }
            }
            Err(why) if why.kind() == ErrorKind::Interrupted => (),
            Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(why) => return Err(why),
        }
    }
    Ok(true)
}

/// Whether data is a fatal alert of a TLS server, its answer to lines and pickles:
/// `15, 03, version, 00 02 (length), 02 (fatal), reason`.
const fn is_alert(data: &[u8]) -> bool {
    matches!(data, [0x15, 0x03, 0..=4, 0, 2, 2, _])
}

#[cfg(test)]
mod tests {
    use super::is_alert;

    #[test]
    fn a_fatal_alert_is_recognized() {
        assert!(is_alert(&[0x15, 3, 1, 0, 2, 2, 0x46]) && is_alert(&[0x15, 3, 3, 0, 2, 2, 10]));
        for other in
            [&b""[..], b"HTTP/1.1 400", &[0x15, 3, 1, 0, 2, 1, 0], &[0x16, 3, 1, 0, 2, 2, 0]]
        {
            assert!(!is_alert(other), "{other:?}");
        }
    }
}
