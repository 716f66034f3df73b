//! The router's thread: it owns the sockets of publishers and subscribers, waits for messages, and reads
//! the clock.

use super::intakes::IntakeSockets;
use super::peers::Monitor;
use super::receive::Inbox;
use super::{Router, WriteAhead};
use crate::bind::Sockets;
use crate::broker_clock::{BrokerClock, Reading};
use crate::curve::{KeyStore, Listener, RevocationFilter, ZapThread};
use crate::intake::{RouterSide, SOCKETS};
use crate::libzmq::descriptors::DescriptorReport;
use crate::ports::Ports;
use crate::shared::Shared;
use crate::sockets::SUBSCRIBERS;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::clock;
use zibrato::daemon::Stop;
use zibrato::window::Dedup;
use zibrato::wire::Endpoint;

/// Maximum number of messages received from one socket before the next socket is read.
const ROUND: usize = 1_000;

/// Maximum bytes received from one socket before the next socket is read. The last message may exceed
/// it.
const ROUND_BYTES: u64 = 32 << 20;

/// Interval of the checks for a shortage of memory while the router waits for subscribers.
const SETTLE_LOOK: Duration = Duration::from_millis(50);

/// While memory is short, messages of at least this size are dropped without being parsed, so that the
/// queues shrink faster than they grow.
const LARGE: u64 = 64 << 10;

/// When the broker stops, an intake is empty if nothing has arrived for this time.
const QUIET: Duration = Duration::from_millis(50);

/// Maximum time to receive from publishers that keep sending while the broker stops.
const LAST_CALL: Duration = Duration::from_secs(1);

/// The state of the thread.
pub(crate) struct RouterThread {
    router: Router,
    inbox: Inbox,
    intakes: IntakeSockets,
    /// The monitors of the ZeroMQ intakes, then that of the subscribers: the order of the counters.
    monitors: Vec<Monitor>,
    ports: Ports,
    stop: Stop,
    shared: Arc<Shared>,
    linger: Duration,
    /// Until then nothing is published, because subscribers may not have reconnected yet.
    settled_at: Instant,
    clock: BrokerClock,
    second: u64,
    descriptors: DescriptorReport,
    settle: Duration,
    filter: RevocationFilter,
    listener: Listener,
    // Dropped after the sockets, which need answers about new clients until they are closed.
    key_store: Option<(Arc<KeyStore>, ZapThread)>,
    // Dropped last, because that waits until all sockets are closed.
    _context: zmq::Context,
}

/// When the thread starts to publish, and how it stops.
pub(crate) struct RouterSettings {
    /// Maximum time for subscribers to read queued messages at the end.
    pub(crate) linger: Duration,
    /// Time for subscribers to reconnect at the start.
    pub(crate) settle: Duration,
    /// Asks the thread to stop.
    pub(crate) stop: Stop,
    /// Where the thread publishes its state.
    pub(crate) shared: Arc<Shared>,
}

/// Which descriptors are readable.
#[derive(Debug, Clone, Copy)]
struct Ready {
    stop: bool,
    journal: bool,
    publish: bool,
}

impl RouterThread {
    /// Takes over the sockets and the journal. `dedup` has the sequences of batches that were accepted
    /// earlier.
    pub(crate) fn new(
        sockets: Sockets,
        sides: Vec<RouterSide>,
        settings: RouterSettings,
        journal: Option<WriteAhead>,
        dedup: Dedup,
    ) -> zmq::Result<Self> {
        let Sockets { context, publish, intakes, ports, key_store } = sockets;
        let RouterSettings { linger, settle, stop, shared } = settings;
        let watched = intakes.iter().zip(&SOCKETS).chain([(&publish, &SUBSCRIBERS)]);
        let monitors = watched
            .map(|(socket, spec)| Monitor::watch(&context, socket, spec.name))
            .collect::<Result<_, _>>()?;
        let (intakes, counters) = IntakeSockets::new(intakes, sides);
        let last_ms = journal.as_ref().map_or(0, |journal| journal.log().clock_ms());
        let mut broker_clock = BrokerClock::after(last_ms);
        let now_ms = broker_clock.now(clock::unix_ms(), Instant::now()).now_ms;
        let mut router = Router::new(publish, counters, (host_name(), now_ms), (journal, dedup))?;
        router.counters.keys = key_store.as_ref().map(|(key_store, _)| key_store.counters());
        shared.tell(&router.counters);
        Ok(Self {
            router,
            inbox: Inbox::new(),
            intakes,
            monitors,
            listener: Listener::new(ports.clone(), Endpoint::Subscribers),
            ports,
            stop,
            shared,
            linger,
            settled_at: Instant::now() + settle,
            clock: broker_clock,
            second: now_ms / 1000,
            descriptors: DescriptorReport::new(),
            settle,
            filter: RevocationFilter::new(
                key_store.as_ref().map(|(key_store, _)| Arc::clone(key_store)),
            ),
            key_store,
            _context: context,
        })
    }

    /// Runs until the thread is asked to stop, and then until all accepted messages are passed on.
    ///
    /// # Errors
    /// A ZeroMQ error after which the thread cannot continue.
    pub(crate) fn run(mut self) -> zmq::Result<()> {
        loop {
            let ready = self.wait()?;
            if ready.stop {
                return self.finish();
            }
            self.round(ready)?;
        }
    }

    /// Waits until there is something to do, at most until the next second begins.
    fn wait(&mut self) -> zmq::Result<Ready> {
        let to_next_second = Duration::from_millis(1000 - self.now_ms() % 1000);
        let to_settle = self.settled_at.saturating_duration_since(Instant::now());
        // Monitors are not polled: reading them once a second is enough.
        let journal = self.journal_waker().unwrap_or_else(|| self.stop.as_raw_fd());
        let mut items = vec![
            zmq::PollItem::from_fd(self.stop.as_raw_fd(), zmq::POLLIN),
            zmq::PollItem::from_fd(journal, zmq::POLLIN),
            self.router.output.socket().as_poll_item(zmq::POLLIN),
        ];
        items.extend(self.intakes.poll_items());
        // Messages stay in the sockets and at their publishers until subscribers have reconnected and
        // the journal has room.
        let (looked_at, timeout) = if self.listener.is_closed() {
            (&mut items[..1], Listener::PATIENCE)
        } else if !to_settle.is_zero() && !self.shared.is_short() {
            (&mut items[..3], to_settle.min(to_next_second).min(SETTLE_LOOK))
        } else if self.may_take() {
            (&mut items[..], to_next_second)
        } else {
            (&mut items[..3], to_next_second)
        };
        // Rounded up: a timeout below a millisecond would become 0, and the loop would not wait.
        let millis = timeout.as_micros().div_ceil(1000);
        match zmq::poll(looked_at, i64::try_from(millis).unwrap_or(1000)) {
            Ok(_) | Err(zmq::Error::EINTR) => {}
            Err(error) => return Err(error),
        }
        let readable: Vec<_> = items.iter().map(zmq::PollItem::is_readable).collect();
        self.intakes.set_readable(readable[3..].iter().copied());
        let [stop, journal, publish] = [readable[0], readable[1], readable[2]];
        Ok(Ready { stop, journal, publish })
    }

    /// Receives a limited number of messages from each socket, and runs the tasks that are due.
    fn round(&mut self, ready: Ready) -> zmq::Result<()> {
        if self.keep_out() {
            return Ok(());
        }
        self.router.now_ms = self.now_ms();
        if ready.journal {
            self.router.take_written()?;
        }
        // Subscriptions are read first, because a message is kept only for its subscribers.
        if ready.publish {
            self.hear_subscribers()?;
        }
        // Lines that were received earlier belong to the previous second, so its windows are closed
        // first.
        let second = self.router.now_ms / 1000;
        if second != self.second {
            self.second = second;
            self.tick()?;
        }
        let settles = Instant::now() < self.settled_at;
        for (at, intake) in self.intakes.readable() {
            let (is_internal, mut bytes) = (intake.is_internal(), 0);
            for _ in 0..ROUND {
                if bytes > ROUND_BYTES || !self.may_take() {
                    break;
                }
                if is_internal && (settles || !self.router.has_room()) {
                    break;
                }
                let Some(received) = self.inbox.receive(&intake.socket)? else { break };
                bytes += received.bytes;
                if is_internal {
                    self.router.take(at, &mut self.inbox, received)?;
                    continue;
                }
                // Subscribers may not have reconnected yet.
                let is_large = received.bytes >= LARGE && self.shared.is_short();
                if is_large || settles || !self.router.has_room() {
                    self.router.drop_unread("memory", &mut self.inbox);
                    continue;
                }
                if !self.filter.admits(self.inbox.first_mut()) {
                    self.router.drop_unread("revoked", &mut self.inbox);
                    continue;
                }
                self.router.take(at, &mut self.inbox, received)?;
            }
            intake.hurry(self.router.journal.as_ref(), bytes);
        }
        self.router.send_lines()?;
        self.end_round()
    }

    /// Readable when the journal has written something.
    fn journal_waker(&self) -> Option<RawFd> {
        self.router.journal.as_ref().map(WriteAhead::waker)
    }

    /// Whether messages are received. While the journal has no room, messages stay in the sockets.
    /// While memory is short, they are received nevertheless. Then they are dropped if they are
    /// large, if the journal has no room, or if subscribers may not have reconnected. Dropped
    /// batches are not acknowledged, so publishers send them again.
    fn may_take(&self) -> bool {
        self.router.has_room() || self.shared.is_short()
    }

    /// The broker's time.
    fn now_ms(&mut self) -> u64 {
        let wall_ms = clock::unix_ms();
        let Reading { now_ms, back_ms } = self.clock.now(wall_ms, Instant::now());
        if back_ms > 0 {
            tracing::error!(
                event = "clock_went_back",
                by_seconds = back_ms / 1000,
                why = "the clock was far ahead; windows of that time may be delivered twice"
            );
        }
        self.router.counters.ahead_ms = now_ms.saturating_sub(wall_ms);
        now_ms
    }

    /// Disconnects all subscribers if keys were removed from the list. Returns whether the endpoint is
    /// closed; nothing may be sent until it is open again.
    fn keep_out(&mut self) -> bool {
        let publish = self.router.output.socket();
        if self.filter.look() {
            self.listener.close(publish);
        }
        if self.listener.open(publish) {
            let peers = self.router.counters.peers.last_mut();
            if let Some((peers, monitor)) = peers.zip(self.monitors.last()) {
                monitor.count(peers);
                // libzmq does not report connections that it closes itself.
                peers.disconnects = peers.disconnects.max(peers.connects);
            }
            self.settled_at = self.settled_at.max(Instant::now() + self.settle);
        }
        self.listener.is_closed()
    }

    fn hear_subscribers(&mut self) -> zmq::Result<()> {
        for _ in 0..ROUND {
            let publish = self.router.output.socket();
            let Some(received) = self.inbox.receive(publish)? else { break };
            self.router.hear(&self.inbox, received);
        }
        Ok(())
    }

    fn tick(&mut self) -> zmq::Result<()> {
        self.descriptors.look(&self.shared);
        for (monitor, peers) in self.monitors.iter().zip(&mut self.router.counters.peers) {
            monitor.count(peers);
        }
        self.router.tick()
    }

    fn end_round(&mut self) -> zmq::Result<()> {
        if self.router.wanted_changed() {
            self.shared.tell_wanted(&self.router.wanted);
            self.router.send_wanted()?;
        }
        self.router.end_round(&self.intakes)?;
        if let Some(journal) = &self.router.journal {
            journal.update_watermark(self.router.now_ms);
        }
        let counters = &mut self.router.counters;
        counters.subscriptions = self.router.subscriptions.len() as u64;
        counters.memory_cuts = self.shared.memory_cuts();
        counters.remembered = self.router.dedup.pairs() as u64;
        counters.forgotten = self.router.dedup.forgotten();
        counters.keys = self.key_store.as_ref().map(|(key_store, _)| key_store.counters());
        self.intakes.load_counters(counters);
        self.shared.tell(counters);
        Ok(())
    }

    /// Receives what publishers have already sent, passes it on, and gives subscribers time to read.
    fn finish(mut self) -> zmq::Result<()> {
        self.shared.tell_stopping();
        self.settled_at = Instant::now();
        tracing::info!(event = "stopping");
        let stop_by = self.shared.stop_by().unwrap_or_else(|| Instant::now() + self.linger);
        self.drain(stop_by)?;
        // This also ends the connections, so that publishers connect to the next broker. Messages that
        // have arrived can still be read.
        self.intakes.close(&self.ports);
        self.drain(stop_by)?;
        self.router.now_ms = self.now_ms();
        self.tick()?;
        self.router.close_journal(stop_by)?;
        self.router.counters.dropped.add("journal", self.intakes.drop_rest(&mut self.inbox)?);
        self.end_round()?;
        self.intakes.reject_left();
        self.end_round()?;
        self.close(stop_by);
        Ok(())
    }

    /// Receives messages until none has arrived for a moment, or the time is over.
    fn drain(&mut self, stop_by: Instant) -> zmq::Result<()> {
        let until = (Instant::now() + LAST_CALL).min(stop_by);
        loop {
            let left = until.saturating_duration_since(Instant::now()).min(QUIET);
            let journal = self.journal_waker().unwrap_or_else(|| self.stop.as_raw_fd());
            let mut items: Vec<_> = self.intakes.poll_items().collect();
            let intakes = items.len();
            items.push(zmq::PollItem::from_fd(journal, zmq::POLLIN));
            let has_journal = self.journal_waker().is_some();
            // While the journal has no room, only the journal is polled.
            let looked_at = match (has_journal, self.router.has_room()) {
                (true, true) => &mut items[..],
                (true, false) => &mut items[intakes..],
                (false, _) => &mut items[..intakes],
            };
            let left = i64::try_from(left.as_millis()).unwrap_or_default();
            let ready = match zmq::poll(looked_at, left) {
                Ok(ready) => ready > 0,
                Err(zmq::Error::EINTR) => true,
                Err(error) => return Err(error),
            };
            self.intakes.set_all_readable();
            self.round(Ready { stop: true, journal: true, publish: true })?;
            if !ready || Instant::now() >= until {
                return Ok(());
            }
        }
    }

    fn close(self, stop_by: Instant) {
        let Self { mut router, mut intakes, monitors, linger, .. } = self;
        let peers = &mut router.counters.peers;
        let sockets = intakes.listening_mut().chain([router.output.socket_mut()]);
        for ((monitor, socket), peers) in monitors.into_iter().zip(sockets).zip(peers) {
            monitor.stop(socket, peers);
        }
        let linger = stop_by.saturating_duration_since(Instant::now()).min(linger);
        let millis = i32::try_from(linger.as_millis()).unwrap_or(i32::MAX);
        if let Err(error) = router.output.socket().set_linger(millis) {
            tracing::debug!(event = "linger", %error);
        }
    }
}

fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if zibrato::check_name(&name).is_ok() { name } else { "localhost".to_owned() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_host_has_a_name_that_can_be_a_source() {
        assert_eq!(zibrato::check_name(&super::host_name()), Ok(()));
    }
}
