//! The connected clients of a receiving thread. They wait in an epoll of their own, so idle ones cost
//! nothing when a packet arrives.

use super::Listener;
use super::connections::{Connection, Input};
use crate::intake::statsd::shared::Shared;
use crate::libzmq::reserve::{is_reserved, limit};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Maximum number of connected clients. A further one takes the place of the one that has been idle
/// for the longest time.
const MAX_CONNECTIONS: usize = 1_000;

/// The limit of file descriptors divided by this is another maximum.
const SHARE: usize = 4;

/// Maximum number of connections that are accepted before other sockets have their turn.
pub(super) const MAX_ACCEPTS: usize = 64;

/// Maximum number of connections that are read before other sockets have their turn.
const MAX_READY: usize = 64;

/// The connected clients.
pub(super) struct Clients {
    epoll: OwnedFd,
    connections: HashMap<u64, Connection>,
    /// The number of the next client.
    next: u64,
    most: usize,
    events: Vec<Event>,
}

impl Clients {
    /// As many as the system permits.
    pub(super) fn new() -> io::Result<Self> {
        Self::with(most(limit()))
    }

    /// At most this many.
    pub(super) fn with(most: usize) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let events = Vec::with_capacity(MAX_READY);
        Ok(Self { epoll, connections: HashMap::new(), next: 0, most, events })
    }

    /// Reads from clients that have sent something.
    pub(super) fn receive(&mut self, input: &mut Input, shared: &Shared) -> io::Result<()> {
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&Timespec::default()))
        {
            // A signal ends the call early.
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &self.events {
            let id = event.data.u64();
            let is_over = |connection: &mut Connection| !connection.receive(input, shared);
            if self.connections.get_mut(&id).is_some_and(is_over) {
                // This closes it, and so ends the wait for it.
                self.connections.remove(&id);
            }
        }
        Ok(())
    }

    /// Accepts clients that wait. Where there is no room, the one that has been idle for the longest
    /// time is disconnected.
    pub(super) fn accept(&mut self, listener: &Listener, shared: &Shared) -> io::Result<()> {
        for _ in 0..MAX_ACCEPTS {
            let Some(connection) = listener.accept()? else { break };
            // Otherwise idle clients would take what the journal needs.
            let is_reserved = is_reserved(connection.as_fd().as_raw_fd());
            if self.connections.len() >= self.most || is_reserved {
                let idle = self.connections.iter().min_by_key(|(_, idle)| idle.used);
                match idle.map(|(id, _)| *id).and_then(|id| self.connections.remove(&id)) {
                    Some(idle) => idle.close(shared),
                    None => {
                        connection.close(shared);
                        continue;
                    }
                }
            }
            let id = self.next;
            self.next += 1;
            epoll::add(&self.epoll, &connection, EventData::new_u64(id), EventFlags::IN)?;
            self.connections.insert(id, connection);
        }
        Ok(())
    }

    /// The thread ends, and with it the connections.
    pub(super) fn cut(&self, shared: &Shared) {
        self.connections.values().for_each(|connection| connection.cut(shared));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }
}

/// Maximum number of clients under a limit of file descriptors.
fn most(limit: RawFd) -> usize {
    let share = usize::try_from(limit).unwrap_or_default() / SHARE;
    share.clamp(1, MAX_CONNECTIONS)
}

/// Readable when a client has sent something.
impl AsFd for Clients {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::most;

    #[test]
    fn clients_leave_descriptors_to_others() {
        assert_eq!([0, 64, 1_024, 4_096, i32::MAX].map(most), [1, 16, 256, 1_000, 1_000]);
    }
}
