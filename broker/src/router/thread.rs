//! The one thread that owns all sockets, waits on them, and reads the clock for the router.

use super::Router;
use super::peers::Monitor;
use super::receive::Inbox;
use crate::bind::{Ports, Sockets};
use crate::counters::{INTAKES, SOCKETS};
use crate::curve::{Doorway, Gate, Guard, ZapThread};
use crate::shared::Shared;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::clock;
use zibrato::daemon::Stop;
use zibrato::wire::Door;

/// The most messages taken from one socket before the next one has its turn.
const ROUND: usize = 1_000;

/// How long nothing has to come for the intakes to count as empty when the broker stops.
const QUIET: Duration = Duration::from_millis(50);

/// How long a publisher that does not cease may go on when the broker stops.
const LAST_CALL: Duration = Duration::from_secs(1);

/// How soon a door that is closed is looked at again.
const TO_REOPEN: Duration = Duration::from_millis(5);

/// The place of subscribers among the sockets.
const SUBSCRIBERS: usize = 2;

/// Everything the thread needs.
pub(crate) struct RouterThread {
    router: Router,
    inbox: Inbox,
    intakes: [zmq::Socket; INTAKES.len()],
    monitors: [Monitor; SOCKETS.len()],
    ports: Ports,
    stop: Stop,
    shared: Arc<Shared>,
    linger: Duration,
    /// Until then subscribers of the broker before this one may still be on their way back.
    settled_at: Instant,
    second: u64,
    settle: Duration,
    guard: Guard,
    subscribers_door: Doorway,
    // Behind the sockets, because newcomers are asked about until they are closed.
    gate: Option<(Arc<Gate>, ZapThread)>,
    // Last, because it ends only when all sockets are closed.
    _context: zmq::Context,
}

/// What there is to do.
#[derive(Debug, Clone, Copy)]
struct Ready {
    stop: bool,
    publish: bool,
    intakes: [bool; INTAKES.len()],
}

impl RouterThread {
    /// Takes the sockets over.
    pub(crate) fn new(
        sockets: Sockets,
        linger: Duration,
        settle: Duration,
        stop: Stop,
        shared: Arc<Shared>,
    ) -> zmq::Result<Self> {
        let Sockets { context, pull, publish, legacy, ports, gate } = sockets;
        let monitors = [
            Monitor::watch(&context, &pull, SOCKETS[0])?,
            Monitor::watch(&context, &legacy, SOCKETS[1])?,
            Monitor::watch(&context, &publish, SOCKETS[2])?,
        ];
        let now_ms = clock::unix_ms();
        let mut router = Router::new(publish, host_name(), now_ms)?;
        router.counters.keys = gate.as_ref().map(|(gate, _)| gate.counters());
        shared.tell(&router.counters);
        Ok(Self {
            router,
            inbox: Inbox::new(),
            intakes: [pull, legacy],
            monitors,
            subscribers_door: Doorway::new(ports.clone(), Door::Subscribers),
            ports,
            stop,
            shared,
            linger,
            settled_at: Instant::now() + settle,
            second: now_ms / 1000,
            settle,
            guard: Guard::new(gate.as_ref().map(|(gate, _)| Arc::clone(gate))),
            gate,
            _context: context,
        })
    }

    /// Runs until somebody asks to stop, and then until everything taken is handed on.
    ///
    /// # Errors
    /// When ZeroMQ fails in a way that cannot be gone on from.
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
    fn wait(&self) -> zmq::Result<Ready> {
        let to_next_second = Duration::from_millis(1000 - clock::unix_ms() % 1000);
        let to_settle = self.settled_at.saturating_duration_since(Instant::now());
        // The monitors are not among them: it is enough to look at them once a second.
        let mut items = [
            zmq::PollItem::from_fd(self.stop.as_raw_fd(), zmq::POLLIN),
            self.router.outlet.socket().as_poll_item(zmq::POLLIN),
            self.intakes[0].as_poll_item(zmq::POLLIN),
            self.intakes[1].as_poll_item(zmq::POLLIN),
        ];
        // What comes waits in its socket, and at its publisher, until the subscribers are back.
        let (looked_at, timeout) = if self.subscribers_door.is_closed() {
            (&mut items[..1], TO_REOPEN)
        } else if to_settle.is_zero() {
            (&mut items[..], to_next_second)
        } else {
            (&mut items[..2], to_settle.min(to_next_second))
        };
        // Rounded up, so that a wait for part of a millisecond does not become a spin.
        let millis = timeout.as_micros().div_ceil(1000);
        match zmq::poll(looked_at, i64::try_from(millis).unwrap_or(1000)) {
            Ok(_) | Err(zmq::Error::EINTR) => {}
            Err(error) => return Err(error),
        }
        let [stop, publish, pull, legacy] = items.map(|item| item.is_readable());
        Ok(Ready { stop, publish, intakes: [pull, legacy] })
    }

    /// Takes what is there, but from each socket only so much, and does what is due.
    fn round(&mut self, ready: Ready) -> zmq::Result<()> {
        if self.keep_out() {
            return Ok(());
        }
        let now_ms = clock::unix_ms();
        self.router.now_ms = now_ms;
        // What is wanted is known before what comes is judged.
        if ready.publish {
            self.hear_subscribers()?;
        }
        // Lines that came before the second was over belong to it, so it ends first.
        let second = now_ms / 1000;
        if second != self.second {
            self.second = second;
            self.tick()?;
        }
        for (at, intake) in self.intakes.iter().enumerate().filter(|(at, _)| ready.intakes[*at]) {
            for _ in 0..ROUND {
                let Some(received) = self.inbox.receive(intake)? else { break };
                if !self.guard.admits(self.inbox.first_mut()) {
                    self.router.counters.dropped.add("revoked", 1);
                    continue;
                }
                self.router.take(at, &mut self.inbox, received)?;
            }
        }
        self.end_round()
    }

    /// Cuts subscribers off when keys were taken off the list, and says whether nothing may be done
    /// until all of them are.
    fn keep_out(&mut self) -> bool {
        if self.guard.look() {
            self.subscribers_door.close(self.router.outlet.socket());
        }
        if self.subscribers_door.open(self.router.outlet.socket()) {
            let peers = &mut self.router.counters.peers[SUBSCRIBERS];
            self.monitors[SUBSCRIBERS].count(peers);
            // libzmq does not tell of connections that it cuts itself.
            peers.disconnects = peers.disconnects.max(peers.connects);
            self.settled_at = self.settled_at.max(Instant::now() + self.settle);
        }
        self.subscribers_door.is_closed()
    }

    fn hear_subscribers(&mut self) -> zmq::Result<()> {
        for _ in 0..ROUND {
            let publish = self.router.outlet.socket();
            let Some(received) = self.inbox.receive(publish)? else { break };
            // What a connection that has ended had asked for is taken back without its name.
            self.router.hear(&self.inbox, received);
        }
        Ok(())
    }

    fn tick(&mut self) -> zmq::Result<()> {
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
        self.router.end_round()?;
        let counters = &mut self.router.counters;
        counters.subscriptions = self.router.subscriptions.len() as u64;
        counters.remembered = self.router.seen.len() as u64;
        counters.forgotten = self.router.seen.forgotten();
        counters.keys = self.gate.as_ref().map(|(gate, _)| gate.counters());
        self.shared.tell(counters);
        Ok(())
    }

    /// Takes what publishers have sent already, hands it on, and gives subscribers time to read.
    fn finish(mut self) -> zmq::Result<()> {
        self.shared.tell_stopping();
        self.settled_at = Instant::now();
        tracing::info!(event = "stopping");
        let stop_by = self.shared.stop_by().unwrap_or_else(|| Instant::now() + self.linger);
        self.drain(stop_by)?;
        for (intake, door) in self.intakes.iter().zip([Door::Publishers, Door::Legacy]) {
            // Ends the connections too, so that publishers turn to the broker that comes next.
            // What they had sent is still to be read.
            self.ports.close(intake, door);
        }
        self.drain(stop_by)?;
        self.router.now_ms = clock::unix_ms();
        self.tick()?;
        self.end_round()?;
        self.close(stop_by);
        Ok(())
    }

    /// Takes messages until none have come for a moment, or it takes too long.
    fn drain(&mut self, stop_by: Instant) -> zmq::Result<()> {
        let until = (Instant::now() + LAST_CALL).min(stop_by);
        loop {
            let left = until.saturating_duration_since(Instant::now()).min(QUIET);
            let mut items = [
                self.intakes[0].as_poll_item(zmq::POLLIN),
                self.intakes[1].as_poll_item(zmq::POLLIN),
            ];
            let left = i64::try_from(left.as_millis()).unwrap_or_default();
            let ready = match zmq::poll(&mut items, left) {
                Ok(ready) => ready > 0,
                Err(zmq::Error::EINTR) => true,
                Err(error) => return Err(error),
            };
            self.round(Ready { stop: true, publish: true, intakes: [true; INTAKES.len()] })?;
            if !ready || Instant::now() >= until {
                return Ok(());
            }
        }
    }

    fn close(self, stop_by: Instant) {
        let Self { mut router, intakes: [mut pull, mut legacy], monitors, linger, .. } = self;
        let peers = &mut router.counters.peers;
        let sockets = [&mut pull, &mut legacy, router.outlet.socket_mut()];
        for ((monitor, socket), peers) in monitors.into_iter().zip(sockets).zip(peers) {
            monitor.stop(socket, peers);
        }
        let linger = stop_by.saturating_duration_since(Instant::now()).min(linger);
        let millis = i32::try_from(linger.as_millis()).unwrap_or(i32::MAX);
        if let Err(error) = router.outlet.socket().set_linger(millis) {
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
