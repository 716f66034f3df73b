//! A reader of a broker's journal.

use crate::harness::{Bench, DEADLINE};
use std::time::Instant;
use zibrato::wire::{
    BatchId, Commit, CursorState, Fetch, Fetched, Position, Reader, Refusal, ReplayAnswer,
    ReplayRequest, Stamp, topic_level,
};

/// A reader with a name.
pub(crate) struct Client {
    pub(crate) socket: zmq::Socket,
    pub(crate) reader: Reader,
    levels: Vec<String>,
}

/// The result of a fetch: its head, and level, id, offset and body of each batch.
pub(crate) type Fetching = (Fetched, Vec<(String, BatchId, u64, Vec<u8>)>);

impl Client {
    pub(crate) fn new(bench: &Bench, name: &str, session: &str, levels: &[&str]) -> Self {
        let socket = bench.connect(zmq::DEALER, bench.broker.replay_port());
        let reader = Reader { name: name.to_owned(), session: session.to_owned() };
        Self { socket, reader, levels: levels.iter().map(|&level| level.to_owned()).collect() }
    }

    pub(crate) fn ask(&self, request: &ReplayRequest) -> (ReplayAnswer, Vec<Vec<u8>>) {
        self.socket.send_multipart(request.encode(), 0).unwrap();
        self.answer()
    }

    pub(crate) fn answer(&self) -> (ReplayAnswer, Vec<Vec<u8>>) {
        let mut frames = self.socket.recv_multipart(0).unwrap();
        let rest = frames.split_off(2);
        (ReplayAnswer::decode(&frames[0], &frames[1]).unwrap(), rest)
    }

    pub(crate) fn request(
        &self,
        after: Option<Position>,
        wait_ms: u64,
        max_bytes: u64,
    ) -> ReplayRequest {
        let (reader, levels) = (self.reader.clone(), self.levels.clone());
        let about = format!("session {}", self.reader.session);
        ReplayRequest::Fetch(Fetch { reader, about, levels, after, wait_ms, max_bytes })
    }

    pub(crate) fn fetch(&self, after: Option<Position>, wait_ms: u64) -> Fetching {
        self.socket.send_multipart(self.request(after, wait_ms, 1 << 20).encode(), 0).unwrap();
        self.batches()
    }

    pub(crate) fn batches(&self) -> Fetching {
        let (answer, frames) = self.answer();
        let ReplayAnswer::Batches(head) = answer else { panic!("{answer:?}") };
        let batches = frames.chunks(4).map(|frames| {
            let level = topic_level(&frames[0]).unwrap().to_owned();
            let stamp = Stamp::decode(&frames[2]).unwrap();
            (level, BatchId::decode(&frames[1]).unwrap(), stamp.offset, frames[3].clone())
        });
        (head, batches.collect())
    }

    /// Fetches until everything up to now has come.
    pub(crate) fn fetch_all(&self, mut after: Option<Position>) -> Fetching {
        let mut all = Vec::new();
        let deadline = Instant::now() + DEADLINE;
        loop {
            let (head, batches) = self.fetch(after, 0);
            all.extend(batches);
            if head.complete_until_ms.is_some() {
                return (head, all);
            }
            assert!(Instant::now() < deadline, "never complete");
            after = Some(head.next);
        }
    }

    pub(crate) fn refused(&self, request: &ReplayRequest) -> (Refusal, String) {
        match self.ask(request).0 {
            ReplayAnswer::Refused(refused) => (refused.why, refused.text),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn commit(&self, at: Position) -> ReplayAnswer {
        self.ask(&ReplayRequest::Commit(Commit { reader: self.reader.clone(), at })).0
    }

    pub(crate) fn cursors(&self) -> Vec<CursorState> {
        match self.ask(&ReplayRequest::Cursors).0 {
            ReplayAnswer::Cursors(cursors) => cursors,
            other => panic!("{other:?}"),
        }
    }
}
