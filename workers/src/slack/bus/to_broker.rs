//! The way from the relay to a broker: one batch at a time, until the broker acknowledges it.
//!
//! The relay keeps the identity of the publisher and the sequence of the batch on disk, so a batch that
//! is sent again after a crash has the same id, and the broker drops it if it already has it.

use crate::curve::CurveFlags;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};
use zibrato::Level;
use zibrato::curve::Curve;
use zibrato::daemon::{Failure, Stop};
use zibrato::resources::{ShortageError, new_context};
use zibrato::wire::{
    ACK_PREFIX, Ack, BatchId, Endpoint, LEVELS_TOPIC, MAX_FRAME_BYTES, PublisherId, WantedLevels,
    ack_topic, batch_topic,
};

/// The default of `--port` of a broker.
const DEFAULT_PORT: u16 = 5550;

/// The time after which a batch is sent again. It doubles each time.
const RESEND: Duration = Duration::from_millis(500);

/// How often a stop is noticed while there is nothing to receive.
const LOOK: Duration = Duration::from_millis(100);

/// Sockets that were idle for this long are opened anew: their queues may be full of old messages.
const LONGEST_IDLE: Duration = Duration::from_secs(60);

/// The address of a broker's port for publishers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BrokerAddress {
    pub(super) host: String,
    pub(super) port: u16,
}

/// The text is no address of a broker.
#[derive(Debug, thiserror::Error)]
#[error(
    "expected the host of a broker and its --port, such as 127.0.0.1:5550, or the folder of its Unix \
     sockets, such as ipc:///run/zibrato"
)]
pub(super) struct BrokerAddressError;

impl FromStr for BrokerAddress {
    type Err = BrokerAddressError;

    fn from_str(text: &str) -> Result<Self, BrokerAddressError> {
        let is_plain = text.starts_with("ipc:") || text.ends_with(']');
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !is_plain && !host.is_empty() => {
                (host, port.parse().map_err(|_| BrokerAddressError)?)
            }
            _ => (text, DEFAULT_PORT),
        };
        let is_bare_ipv6 = host.contains(':') && !host.starts_with('[') && !is_plain;
        // The port for subscribers is the next one.
        if !(1..u16::MAX).contains(&port)
            || is_bare_ipv6
            || Endpoint::Publishers.address(host, port).is_none()
        {
            return Err(BrokerAddressError);
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Endpoint::Publishers.ipc_endpoint(&self.host) {
            Some(_) => f.write_str(&self.host),
            None => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Why a batch is not delivered.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("it has not acknowledged the points; is its disk full?")]
    NoAck,
    #[error("its sockets cannot be opened")]
    Open(#[from] ShortageError),
    #[error("it sends nothing; start it, or check --to-broker, --server-key and --curve-key")]
    Silent,
    #[error("its sockets cannot be used")]
    Socket(#[from] zmq::Error),
    #[error("stopped")]
    Stopped,
    #[error(
        "nobody reads the level {0} there; start a worker with it, or give it in the broker's \
         --keep-levels"
    )]
    Unwanted(Level),
}

/// The way to a broker.
pub(super) struct ToBroker {
    pub(super) address: BrokerAddress,
    /// The level of the measurements.
    pub(super) level: Level,
    curve: Option<Curve>,
    timeout: Duration,
    stop: Stop,
    link: Option<Link>,
}

impl fmt::Debug for ToBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToBroker").field("address", &self.address).finish_non_exhaustive()
    }
}

struct Link {
    push: zmq::Socket,
    control: zmq::Socket,
    /// The levels that somebody reads, once the broker has told.
    wanted: Option<WantedLevels>,
    used: Instant,
}

impl ToBroker {
    pub(super) fn new(
        address: BrokerAddress,
        level: Level,
        keys: &CurveFlags,
        timeout: Duration,
        stop: Stop,
    ) -> Result<Self, Failure> {
        Ok(Self { address, level, curve: keys.read()?, timeout, stop, link: None })
    }

    /// Sends a batch until it is acknowledged, or the time is over.
    pub(super) fn deliver(
        &mut self,
        level: &Level,
        id: BatchId,
        body: &[u8],
    ) -> Result<(), LinkError> {
        let mut link = match self.link.take().filter(|link| link.used.elapsed() < LONGEST_IDLE) {
            Some(link) => link,
            None => self.open(id.publisher)?,
        };
        let delivered = self.deliver_over(&mut link, level, id, body);
        // After other errors a connection may be one that only this end knows.
        if matches!(delivered, Ok(()) | Err(LinkError::Unwanted(_))) {
            self.link = Some(link);
        }
        delivered
    }

    fn deliver_over(
        &self,
        link: &mut Link,
        level: &Level,
        id: BatchId,
        body: &[u8],
    ) -> Result<(), LinkError> {
        let until = Instant::now() + self.timeout;
        let (mut send_at, mut wait) = (Instant::now(), RESEND);
        loop {
            if link.receive(level, id) {
                return Ok(());
            }
            let (now, wanted) = (Instant::now(), link.wanted.as_ref());
            link.used = now;
            if wanted.is_some_and(|wanted| !wanted.wants(level.as_str())) {
                return Err(LinkError::Unwanted(level.clone()));
            }
            let is_known = wanted.is_some();
            if now >= until {
                return Err(if is_known { LinkError::NoAck } else { LinkError::Silent });
            }
            if is_known && now >= send_at {
                let topic = batch_topic(level.as_str());
                let frames = [topic.as_bytes(), &id.encode(), body];
                match link.push.send_multipart(frames, zmq::DONTWAIT) {
                    Ok(()) => (send_at, wait) = (now + wait, wait * 2),
                    // There is no connection yet.
                    Err(zmq::Error::EAGAIN | zmq::Error::EINTR) => send_at = now + LOOK,
                    Err(why) => return Err(why.into()),
                }
            }
            if self.stop.raised() {
                return Err(LinkError::Stopped);
            }
            match link.control.poll(zmq::POLLIN, LOOK.as_millis() as i64) {
                Ok(_) | Err(zmq::Error::EINTR) => {}
                Err(why) => return Err(why.into()),
            }
        }
    }

    fn open(&self, publisher: PublisherId) -> Result<Link, LinkError> {
        let context = new_context(2)?;
        let (push, control) = (context.socket(zmq::PUSH)?, context.socket(zmq::SUB)?);
        push.set_immediate(true)?;
        control.set_maxmsgsize(MAX_FRAME_BYTES as i64)?;
        control.set_subscribe(LEVELS_TOPIC.as_bytes())?;
        control.set_subscribe(ack_topic(publisher).as_bytes())?;
        let BrokerAddress { host, port } = &self.address;
        for (socket, endpoint) in [(&push, Endpoint::Publishers), (&control, Endpoint::Subscribers)]
        {
            let address = endpoint.address(host, port.saturating_add(endpoint.offset()));
            let address = address.ok_or(zmq::Error::EINVAL)?;
            socket.set_linger(0)?;
            socket.set_ipv6(address.contains('['))?;
            if let Some(curve) = &self.curve {
                curve.secure(socket)?;
            }
            socket.connect(&address)?;
        }
        Ok(Link { push, control, wanted: None, used: Instant::now() })
    }
}

impl Link {
    /// Reads what has arrived, and returns whether the batch is acknowledged.
    fn receive(&mut self, level: &Level, id: BatchId) -> bool {
        while let Ok(frames) = self.control.recv_multipart(zmq::DONTWAIT) {
            let [topic, body] = &frames[..] else { continue };
            if !topic.starts_with(ACK_PREFIX.as_bytes()) {
                self.wanted = WantedLevels::decode(body).ok().or(self.wanted.take());
            } else if let Ok(ack) = Ack::decode(body)
                && ack.sequences.get(level.as_str()).is_some_and(|taken| *taken >= id.sequence)
            {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::BrokerAddress;

    #[test]
    fn an_address_is_a_host_and_the_port_for_publishers() {
        for (text, shown) in [
            ("127.0.0.1", "127.0.0.1:5550"),
            ("broker.internal:6000", "broker.internal:6000"),
            ("[::1]", "[::1]:5550"),
            ("[::1]:7000", "[::1]:7000"),
            ("ipc:///run/zibrato", "ipc:///run/zibrato"),
        ] {
            assert_eq!(text.parse::<BrokerAddress>().unwrap().to_string(), shown);
        }
        for text in ["", ":5550", "a:0", "a:65535", "a:b", "::1", "tcp://a:5550", "a b", "ipc://"] {
            assert!(text.parse::<BrokerAddress>().is_err(), "{text}");
        }
    }
}
