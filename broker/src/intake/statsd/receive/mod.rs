//! A receiving thread: it reads its sockets, and adds the samples to its table.

mod clients;
mod connections;
mod packets;

pub(super) use connections::Listener;
pub(super) use packets::Packets;

use super::shared::Shared;
use clients::Clients;
use connections::Input;
use packets::Buffers;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::daemon::Stop;

/// Maximum time for which a thread keeps reading after the broker begins to stop.
const LAST_CALL: Duration = Duration::from_millis(500);

/// How often packets that the kernel has dropped are counted.
const COUNT_DROPS: Duration = Duration::from_millis(500);

/// Pause after an error in accepting a connection or receiving a packet, such as too many open
/// files or too little memory.
const PAUSE: Duration = Duration::from_millis(100);

/// Number of batches that are received from a socket before others have their turn.
const BATCHES: usize = 16;

/// A thread that receives, with its sockets.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) packets: Vec<Packets>,
    pub(super) listeners: Vec<Listener>,
    pub(super) shared: Arc<Shared>,
}

/// Which sockets are readable.
struct Ready {
    packets: Vec<bool>,
    listeners: Vec<bool>,
    clients: bool,
    stop: bool,
}

impl Ready {
    fn any(&self) -> bool {
        self.clients || self.packets.iter().chain(&self.listeners).any(|is| *is)
    }
}

impl Receiver {
    /// Receives until `stop` is raised and nothing is left to read.
    pub(super) fn run(mut self, stop: &Stop) -> io::Result<()> {
        let mut buffers = Buffers::new();
        let mut senders: Vec<_> = self.packets.iter().map(Packets::senders).collect();
        let mut input = Input::new();
        let mut clients = Clients::new()?;
        let mut stop_by: Option<Instant> = None;
        let mut drops_counted = Instant::now();
        let (mut accepts_from, mut receives_from) = (drops_counted, drops_counted);
        let mut now = drops_counted;
        loop {
            let timeout = if stop_by.is_some() { Duration::ZERO } else { PAUSE };
            let stop = stop_by.is_none().then_some(stop);
            let pauses = [now < receives_from, now < accepts_from];
            let ready = self.wait(&clients, pauses, stop, timeout)?;
            now = Instant::now();
            if ready.stop && stop_by.is_none() {
                stop_by = Some(now + LAST_CALL);
            }
            let sockets = self.packets.iter().zip(&mut senders).zip(&ready.packets);
            for ((packets, senders), _) in sockets.filter(|(_, is)| **is) {
                for _ in 0..BATCHES {
                    match packets.receive(&mut buffers, senders, || self.shared.lock()) {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(error) => {
                            self.shared.lock().counts.reject("receive", 1, || error.to_string());
                            receives_from = now + PAUSE;
                            break;
                        }
                    }
                }
            }
            if ready.clients {
                clients.receive(&mut input, &self.shared)?;
            }
            for (listener, _) in self.listeners.iter().zip(&ready.listeners).filter(|(_, is)| **is)
            {
                if let Err(error) = clients.accept(listener, &self.shared) {
                    self.shared.lock().counts.reject("accept", 1, || error.to_string());
                    accepts_from = now + PAUSE;
                }
            }
            let is_over = stop_by.is_some_and(|by| !ready.any() || now >= by);
            if is_over || now.saturating_duration_since(drops_counted) >= COUNT_DROPS {
                drops_counted = now;
                self.count_drops();
            }
            if is_over {
                clients.cut(&self.shared);
                return Ok(());
            }
        }
    }

    /// Waits until a socket is readable. `pauses` says whether packets and listeners have a pause.
    fn wait(
        &self,
        clients: &Clients,
        pauses: [bool; 2],
        stop: Option<&Stop>,
        timeout: Duration,
    ) -> io::Result<Ready> {
        let readable = PollFlags::IN;
        let [receivable, acceptable] =
            pauses.map(|pauses| if pauses { PollFlags::empty() } else { readable });
        let mut items: Vec<_> = self.packets.iter().map(|p| PollFd::new(p, receivable)).collect();
        items.extend(self.listeners.iter().map(|listener| PollFd::new(listener, acceptable)));
        items.push(PollFd::new(clients, readable));
        items.extend(stop.map(|stop| PollFd::new(stop, readable)));
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        match poll(&mut items, Some(&timeout)) {
            Ok(_) => {}
            // A signal ends the wait early.
            Err(rustix::io::Errno::INTR) => items.iter_mut().for_each(PollFd::clear_revents),
            Err(error) => return Err(error.into()),
        }
        let mut ready = items.iter().map(|item| !item.revents().is_empty());
        let mut next = |count| ready.by_ref().take(count).collect::<Vec<_>>();
        Ok(Ready {
            packets: next(self.packets.len()),
            listeners: next(self.listeners.len()),
            clients: next(1) == [true],
            stop: next(1) == [true],
        })
    }

    fn count_drops(&mut self) {
        let drops: u64 =
            self.packets.iter_mut().map(|packets| u64::from(packets.new_drops())).sum();
        if drops > 0 {
            let sample = || "the kernel had no room for packets; see --statsd-threads".to_owned();
            self.shared.lock().counts.reject("kernel", drops, sample);
        }
    }
}

#[cfg(test)]
mod tests;
