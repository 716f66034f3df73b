//! The one thread that owns all sockets, waits on them, and reads the clock for the router.

use super::Router;
use super::peers::Monitor;
use super::receive::receive;
use crate::bind::{Ports, Sockets};
use crate::counters::{INTAKES, SOCKETS};
use crate::shared::Shared;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::clock;
use zibrato::daemon::Stop;

/// The most messages taken from one socket before the next one has its turn.
const ROUND: usize = 1_000;

/// How long nothing has to come for the intakes to count as empty when the broker stops.
const QUIET: Duration = Duration::from_millis(50);

/// How long a publisher that does not cease may go on when the broker stops.
const LAST_CALL: Duration = Duration::from_secs(1);

/// Everything the thread needs.
pub(crate) struct RouterThread {
    router: Router,
    intakes: [zmq::Socket; INTAKES.len()],
    monitors: [Monitor; SOCKETS.len()],
    ports: Ports,
    stop: Stop,
    shared: Arc<Shared>,
    linger: Duration,
    /// Until then subscribers of the broker before this one may still be on their way back.
    settled_at: Instant,
    second: u64,
    // Last, because it ends only when all sockets are closed.
    _context: zmq::Context,
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
        let Sockets { context, pull, publish, legacy, ports } = sockets;
        let monitors = [
            Monitor::watch(&context, &pull, SOCKETS[0])?,
            Monitor::watch(&context, &legacy, SOCKETS[1])?,
            Monitor::watch(&context, &publish, SOCKETS[2])?,
        ];
        let now_ms = clock::unix_ms();
        Ok(Self {
            router: Router::new(publish, host_name(), now_ms)?,
            intakes: [pull, legacy],
            monitors,
            ports,
            stop,
            shared,
            linger,
            settled_at: Instant::now() + settle,
            second: now_ms / 1000,
            _context: context,
        })
    }

    /// Runs until somebody asks to stop, and then until everything taken is handed on.
    ///
    /// # Errors
    /// When ZeroMQ fails in a way that cannot be gone on from.
    pub(crate) fn run(mut self) -> zmq::Result<()> {
        while !self.wait()? {
            self.round()?;
        }
        self.finish()
    }

    /// Waits until there is something to do, and says whether somebody asked to stop.
    fn wait(&self) -> zmq::Result<bool> {
        let to_next_second = Duration::from_millis(1000 - clock::unix_ms() % 1000);
        let to_settle = self.settled_at.saturating_duration_since(Instant::now());
        let mut items = vec![
            zmq::PollItem::from_fd(self.stop.as_raw_fd(), zmq::POLLIN),
            self.router.outlet.socket().as_poll_item(zmq::POLLIN),
            self.monitors[0].socket().as_poll_item(zmq::POLLIN),
            self.monitors[1].socket().as_poll_item(zmq::POLLIN),
            self.monitors[2].socket().as_poll_item(zmq::POLLIN),
        ];
        let timeout = if to_settle.is_zero() {
            items.extend(self.intakes.iter().map(|intake| intake.as_poll_item(zmq::POLLIN)));
            to_next_second
        } else {
            to_settle.min(to_next_second)
        };
        // Rounded up, so that a wait for part of a millisecond does not become a spin.
        let millis = timeout.as_micros().div_ceil(1000);
        match zmq::poll(&mut items, i64::try_from(millis).unwrap_or(1000)) {
            Ok(_) => Ok(items[0].is_readable()),
            Err(zmq::Error::EINTR) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes what is there, but from each socket only so much, and does what is due.
    fn round(&mut self) -> zmq::Result<()> {
        let now_ms = clock::unix_ms();
        self.router.now_ms = now_ms;
        // What is wanted is known before what comes is judged.
        for _ in 0..ROUND {
            let Some((received, _)) = receive(self.router.outlet.socket())? else { break };
            self.router.hear(&received);
        }
        // Lines that came before the second was over belong to it, so it ends first.
        let second = now_ms / 1000;
        if second != self.second {
            self.second = second;
            self.router.tick()?;
        }
        // What comes waits in its socket, and at its publisher, until the subscribers are back.
        let taken = if Instant::now() < self.settled_at { &[] } else { &self.intakes[..] };
        for (at, intake) in taken.iter().enumerate() {
            for _ in 0..ROUND {
                let Some((received, bytes)) = receive(intake)? else { break };
                self.router.take(at, received, bytes)?;
            }
        }
        for (monitor, peers) in self.monitors.iter().zip(&mut self.router.counters.peers) {
            monitor.count(peers);
        }
        self.end_round()
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
        for (intake, port) in self.intakes.iter().zip([self.ports.base(), self.ports.legacy()]) {
            // Ends the connections too, so that publishers turn to the broker that comes next.
            // What they had sent is still to be read.
            if let Err(error) = intake.unbind(&self.ports.endpoint(port)) {
                tracing::debug!(event = "unbind", port, %error);
            }
        }
        self.drain(stop_by)?;
        self.router.now_ms = clock::unix_ms();
        self.router.tick()?;
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
            self.round()?;
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
