//! The sockets of all intakes: those that listen, and those of intakes that have a thread.

use super::receive::Inbox;
use super::write_ahead::WriteAhead;
use crate::counters::Counters;
use crate::intake::{Link, RouterSide, SOCKETS};
use crate::ports::Ports;
use crate::sockets::SUBSCRIBERS;
use std::sync::Arc;
use zibrato::wire::{Ack, Endpoint, PublisherId};

/// The sockets of all intakes, in the order of their counters.
pub(super) struct IntakeSockets {
    all: Vec<IntakeSocket>,
    /// For each of them, whether it can be read.
    readable: Vec<bool>,
}

/// The socket of an intake.
pub(super) struct IntakeSocket {
    pub(super) socket: zmq::Socket,
    from: From,
}

/// The origin of an intake's batches.
enum From {
    /// Peers that connect to this endpoint.
    Endpoint(Endpoint),
    /// A thread of this process. It does not send batches again, so none of them may be dropped.
    Thread(Arc<Link>),
}

impl IntakeSocket {
    /// Whether a thread of this process publishes here.
    pub(super) const fn is_internal(&self) -> bool {
        matches!(self.from, From::Thread(_))
    }

    /// Lets the journal write at once the `bytes` that were taken from it, if its clients wait for that.
    pub(super) fn hurry(&self, journal: Option<&WriteAhead>, bytes: u64) {
        if let (From::Thread(link), Some(journal)) = (&self.from, journal)
            && bytes > 0
            && link.is_awaited()
        {
            journal.hurry();
        }
    }
}

impl IntakeSockets {
    /// Takes over the sockets of the ZeroMQ intakes, and those of the other intakes.
    pub(super) fn new(listening: Vec<zmq::Socket>, sides: Vec<RouterSide>) -> (Self, Counters) {
        let names = SOCKETS.iter().map(|spec| spec.name).chain(sides.iter().map(|side| side.name));
        let specs = SOCKETS.iter().chain([&SUBSCRIBERS]);
        let counters = Counters::new(names, specs.map(|spec| spec.name));
        let endpoints = SOCKETS.iter().map(|spec| From::Endpoint(spec.endpoint));
        let listening = listening.into_iter().zip(endpoints);
        let threads = sides.into_iter().map(|side| (side.socket, From::Thread(side.link)));
        let all: Vec<_> =
            listening.chain(threads).map(|(socket, from)| IntakeSocket { socket, from }).collect();
        (Self { readable: vec![false; all.len()], all }, counters)
    }

    /// The sockets on which to wait for messages.
    pub(super) fn poll_items(&self) -> impl Iterator<Item = zmq::PollItem<'_>> {
        self.all.iter().map(|intake| intake.socket.as_poll_item(zmq::POLLIN))
    }

    /// The sockets that can be read, with their indexes among the counters.
    pub(super) fn readable(&self) -> impl Iterator<Item = (usize, &IntakeSocket)> {
        let all = self.all.iter().enumerate().zip(&self.readable);
        all.filter(|(_, is_readable)| **is_readable).map(|(intake, _)| intake)
    }

    /// Records which sockets can be read.
    pub(super) fn set_readable(&mut self, readable: impl Iterator<Item = bool>) {
        self.readable.clear();
        self.readable.extend(readable);
    }

    /// Marks all sockets as readable for the next round.
    pub(super) fn set_all_readable(&mut self) {
        self.readable.fill(true);
    }

    /// Stops listening.
    pub(super) fn close(&self, ports: &Ports) {
        for IntakeSocket { socket, from } in &self.all {
            if let From::Endpoint(endpoint) = from {
                ports.close(socket, *endpoint);
            }
        }
    }

    /// The sockets that listen.
    pub(super) fn listening_mut(&mut self) -> impl Iterator<Item = &mut zmq::Socket> {
        let listening = self.all.iter_mut().filter(|intake| !intake.is_internal());
        listening.map(|intake| &mut intake.socket)
    }

    /// Receives and drops what threads of this process have sent, and returns the number of
    /// messages. Called at the end, when the journal has no room for them.
    pub(super) fn drop_rest(&self, inbox: &mut Inbox) -> zmq::Result<u64> {
        let mut dropped = 0;
        for intake in self.all.iter().filter(|intake| intake.is_internal()) {
            while inbox.receive(&intake.socket)?.is_some() {
                dropped += 1;
            }
        }
        Ok(dropped)
    }

    fn links(&self) -> impl Iterator<Item = (usize, &Link)> {
        self.all.iter().enumerate().filter_map(|(at, intake)| match &intake.from {
            From::Endpoint(_) => None,
            From::Thread(link) => Some((at, &**link)),
        })
    }

    /// Hands an acknowledgement to the thread that publishes as `publisher`; returns it if there is
    /// none.
    pub(super) fn acknowledge(&self, publisher: PublisherId, ack: Ack) -> Option<Ack> {
        let Some((_, link)) = self.links().find(|(_, link)| link.publisher() == publisher) else {
            return Some(ack);
        };
        link.acknowledge(ack);
        None
    }

    /// Counts what threads have left that is not acknowledged.
    pub(super) fn reject_left(&self) {
        self.links().for_each(|(_, link)| link.reject_left());
    }

    /// Copies the counters of the threads.
    pub(super) fn load_counters(&self, counters: &mut Counters) {
        for (at, link) in self.links() {
            link.load(&mut counters.intakes[at]);
        }
    }
}
