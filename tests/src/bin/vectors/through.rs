//! A broker with the StatsD intake, and a subscriber to what it publishes.

use anyhow::{Context, bail, ensure};
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};
use zibrato::resources::new_context;
use zibrato::window::Window;
use zibrato::wire::{BatchReader, Message, message};
use zibrato_broker::{Broker, Config, End, Statsd};

/// The longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(30);

/// The last line before each flush. Batches of one second are in the order of their sources, so
/// its source is the last one.
const LAST: &str = "vectors.end:1|c|#host:~";
const LAST_SOURCE: &str = "~";

/// The time after which the intake has repeated all gauges.
const REPEATED: Duration = Duration::from_millis(11_000);

/// A broker, and what arrives from it.
pub(crate) struct Through {
    broker: Broker,
    subscriber: zmq::Socket,
    sender: UdpSocket,
    address: String,
    // Sockets end before their context.
    _context: zmq::Context,
}

impl Through {
    pub(crate) fn start(gauges: Option<&Path>) -> anyhow::Result<Self> {
        let statsd = Statsd::new().listen("127.0.0.1:0").map_err(anyhow::Error::msg)?;
        let statsd = match gauges {
            Some(file) => statsd.gauges(file),
            None => statsd,
        };
        let config = Config::new().port(0).settle(Duration::ZERO).journal(None).intake(statsd);
        let broker = Broker::start(config)?;
        let address = broker.intake_address("statsd").context("an address")?;
        let address = address.split(',').next().unwrap_or_default().to_owned();
        let context = new_context(4)?;
        let subscriber = context.socket(zmq::SUB)?;
        subscriber.set_linger(0)?;
        subscriber.set_rcvtimeo(i32::try_from(DEADLINE.as_millis())?)?;
        subscriber.connect(&broker.endpoint(broker.publish_port()))?;
        subscriber.set_subscribe(b"zb1|info|")?;
        let until = Instant::now() + DEADLINE;
        while !broker.wanted().levels.iter().any(|level| level.as_str() == "info") {
            if Instant::now() > until {
                bail!("the broker does not notice the subscriber");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let sender = UdpSocket::bind("127.0.0.1:0")?;
        Ok(Self { broker, subscriber, sender, address, _context: context })
    }

    pub(crate) fn send(&self, packet: &[u8]) -> anyhow::Result<()> {
        self.sender.send_to(packet, &self.address)?;
        Ok(())
    }

    /// What arrives until everything that was sent has arrived, and until gauges are repeated if
    /// nothing was.
    pub(crate) fn receive(&self, mut window: Window, is_quiet: bool) -> anyhow::Result<Window> {
        if is_quiet {
            std::thread::sleep(REPEATED);
        }
        self.send(LAST.as_bytes())?;
        loop {
            let frames = self.subscriber.recv_multipart(0).context("nothing arrives")?;
            let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
            let Message::Batch { body, .. } = message(&frames)? else { continue };
            let batch = BatchReader::new(body)?;
            if batch.source() == LAST_SOURCE {
                return Ok(window);
            }
            let mut refused = None;
            window.fold_batch(&batch, |error| refused = Some(error));
            if let Some(error) = refused {
                bail!(error);
            }
        }
    }

    pub(crate) fn stop(self) -> anyhow::Result<()> {
        drop(self.subscriber);
        let report = self.broker.stop(DEADLINE);
        ensure!(report.end == End::Clean, "the broker did not end: {report:?}");
        Ok(())
    }
}
