//! A fake replay port of a broker: a journal in memory, with a clock that the test sets.

use crate::publisher::{LONG, Publisher};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zibrato::wire::{
    BatchId, BatchWriter, Commit, Fetch, Fetched, Position, PublisherId, Reader, Refusal, Refused,
    ReplayAnswer, ReplayRequest, Stamp, batch_topic,
};

/// Time for which a name stays with a silent reader.
const LEASE: Duration = Duration::from_secs(5);

/// A broker with a publishing port and a replay port.
pub(crate) struct Journal {
    pub(crate) publisher: Publisher,
    state: Arc<Mutex<State>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The contents of the journal, and the behaviour of the broker.
pub(crate) struct State {
    kept: Vec<Kept>,
    /// The time of its clock.
    pub(crate) now_ms: u64,
    /// The number of the journal.
    pub(crate) number: u64,
    pub(crate) cursors: BTreeMap<String, u64>,
    pub(crate) owners: BTreeMap<String, (Reader, String, Instant)>,
    /// Maximum number of batches in one answer.
    pub(crate) at_a_time: usize,
    /// Number of batches deleted by retention, to report with the next answer.
    pub(crate) gone: u64,
    /// Whether the cursor of the next reader was forgotten.
    pub(crate) forgotten: bool,
    /// The answer to every request.
    pub(crate) refuse: Option<(Refusal, String)>,
    /// With a refusal: whether the owner of the name is connected.
    pub(crate) owner_is_alive: bool,
    /// The answer to commits, which are not executed.
    pub(crate) refuse_commits: Option<(Refusal, String)>,
    /// The frames to send as answers to the next fetches.
    pub(crate) garbage: Vec<Vec<Vec<u8>>>,
    /// Whether no request is answered.
    pub(crate) silent: bool,
    /// Whether commits are neither answered nor executed.
    pub(crate) ignores_commits: bool,
    /// The highest offset that was sent.
    pub(crate) handed_out: u64,
    pub(crate) released: u64,
    pub(crate) fetches: u64,
    /// The maximum wait of each fetch, in milliseconds.
    pub(crate) waits: Vec<u64>,
    pub(crate) commits: u64,
}

#[derive(Clone)]
struct Kept {
    level: String,
    stamp: Stamp,
    frames: [Vec<u8>; 4],
}

/// A fetch that waits for batches.
struct Polling {
    peer: Vec<u8>,
    fetch: Fetch,
    until: Instant,
}

impl Journal {
    /// A journal whose clock is at `now_ms`.
    pub(crate) fn start(now_ms: u64) -> Self {
        let begun = Instant::now();
        let (publisher, router) = loop {
            let publisher = Publisher::bind();
            let router = zmq::Context::new().socket(zmq::ROUTER).unwrap();
            router.set_linger(0).unwrap();
            let next = publisher.port().checked_add(1);
            let bound = next.map(|port| router.bind(&format!("tcp://127.0.0.1:{port}")));
            if bound.is_some_and(|bound| bound.is_ok()) {
                break (publisher, router);
            }
            assert!(begun.elapsed() < LONG, "no two ports in a row");
        };
        let state = State {
            kept: Vec::new(),
            now_ms,
            number: 7,
            cursors: BTreeMap::new(),
            owners: BTreeMap::new(),
            at_a_time: usize::MAX,
            gone: 0,
            forgotten: false,
            refuse: None,
            owner_is_alive: false,
            refuse_commits: None,
            garbage: Vec::new(),
            silent: false,
            ignores_commits: false,
            handed_out: 0,
            released: 0,
            fetches: 0,
            waits: Vec::new(),
            commits: 0,
        };
        let (state, ended) = (Arc::new(Mutex::new(state)), Arc::new(AtomicBool::new(false)));
        let (shared, stop) = (Arc::clone(&state), Arc::clone(&ended));
        let thread = std::thread::Builder::new().name("journal".to_owned());
        let thread = thread.spawn(move || serve(&router, &shared, &stop)).unwrap();
        Self { publisher, state, ended, thread: Some(thread) }
    }

    /// The port on which the broker publishes.
    pub(crate) fn port(&self) -> u16 {
        self.publisher.port()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Adds one counter of `level`, received at `received_ms`, and sets the clock to that time.
    pub(crate) fn count(&self, level: &str, name: &str, sum: f64, received_ms: u64) {
        let mut body = BatchWriter::new("web-1", received_ms, 1000);
        body.counter(name, &[], sum);
        let mut state = self.state();
        state.now_ms = state.now_ms.max(received_ms);
        let offset = state.kept.len() as u64 + 1;
        let id = BatchId { publisher: PublisherId([9; 16]), sequence: offset }.encode();
        let stamp = Stamp { offset, received_ms };
        let topic = batch_topic(level).into_bytes();
        let frames = [topic, id.to_vec(), stamp.encode().to_vec(), body.finish()];
        state.kept.push(Kept { level: level.to_owned(), stamp, frames });
    }

    /// Sets its clock.
    pub(crate) fn set_clock(&self, now_ms: u64) {
        self.state().now_ms = now_ms;
    }

    pub(crate) fn committed(&self, name: &str) -> u64 {
        self.state().cursors.get(name).copied().unwrap_or_default()
    }

    /// The last offset.
    pub(crate) fn end(&self) -> u64 {
        self.state().kept.len() as u64
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the journal panicked");
        }
    }
}

fn serve(router: &zmq::Socket, state: &Mutex<State>, ended: &AtomicBool) {
    let mut polling: Vec<Polling> = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        router.poll(zmq::POLLIN, 2).unwrap();
        let mut state = state.lock().unwrap();
        while let Ok(frames) = router.recv_multipart(zmq::DONTWAIT) {
            let [peer, topic, body] = &frames[..] else { panic!("{frames:?}") };
            let request = ReplayRequest::decode(topic, body).unwrap();
            let now = Instant::now();
            match request {
                _ if state.silent => {}
                ReplayRequest::Fetch(_) if !state.garbage.is_empty() => {
                    let mut frames = vec![peer.clone()];
                    frames.extend(state.garbage.remove(0));
                    router.send_multipart(frames, 0).unwrap();
                }
                ReplayRequest::Fetch(fetch) => {
                    state.fetches += 1;
                    state.waits.push(fetch.wait_ms);
                    let until = now + Duration::from_millis(fetch.wait_ms);
                    polling.push(Polling { peer: peer.clone(), fetch, until });
                }
                ReplayRequest::Commit(commit) => {
                    if let Some(answer) = state.commit(&commit) {
                        send(router, peer, &answer, &[]);
                    }
                }
                ReplayRequest::Release(reader) => {
                    state.owners.remove(&reader.name);
                    state.released += 1;
                    send(router, peer, &ReplayAnswer::Released, &[]);
                }
                other => panic!("{other:?}"),
            }
        }
        let now = Instant::now();
        polling.retain(|poll| {
            let Some((answer, batches)) = state.fetch(&poll.fetch, now >= poll.until) else {
                return true;
            };
            send(router, &poll.peer, &answer, &batches);
            false
        });
    }
}

fn send(router: &zmq::Socket, peer: &[u8], answer: &ReplayAnswer, batches: &[Kept]) {
    let [topic, body] = answer.encode();
    let mut frames = vec![peer, &topic, &body];
    frames.extend(batches.iter().flat_map(|kept| kept.frames.iter().map(Vec::as_slice)));
    router.send_multipart(frames, 0).unwrap();
}

impl State {
    fn commit(&mut self, commit: &Commit) -> Option<ReplayAnswer> {
        self.commits += 1;
        if self.ignores_commits {
            return None;
        }
        if let Some(refused) = self.refuses(&commit.reader, "") {
            return Some(refused);
        }
        if let Some((why, text)) = self.refuse_commits.clone() {
            return Some(ReplayAnswer::Refused(Refused { why, text, alive: false }));
        }
        assert_eq!(commit.at.journal, self.number);
        self.cursors.insert(commit.reader.name.clone(), commit.at.offset);
        Some(ReplayAnswer::Committed(commit.at))
    }

    /// The answer to a fetch, if it is answered now.
    fn fetch(&mut self, fetch: &Fetch, waited: bool) -> Option<(ReplayAnswer, Vec<Kept>)> {
        if let Some(refused) = self.refuses(&fetch.reader, &fetch.about) {
            return Some((refused, Vec::new()));
        }
        let cursor = *self.cursors.entry(fetch.reader.name.clone()).or_default();
        let after = fetch.after.filter(|at| at.journal == self.number);
        let after = if fetch.after.is_some() { after.map_or(0, |at| at.offset) } else { cursor };
        let wanted =
            |kept: &Kept| fetch.levels.iter().any(|level| level == "*" || *level == kept.level);
        let most = if fetch.max_bytes <= 1 { 1 } else { self.at_a_time };
        let (mut batches, mut next) = (Vec::new(), after);
        for kept in self.kept.iter().filter(|kept| kept.stamp.offset > after) {
            if batches.len() == most {
                break;
            }
            next = kept.stamp.offset;
            if wanted(kept) {
                batches.push(kept.clone());
            }
        }
        if batches.is_empty() && !waited {
            return None;
        }
        let end = self.kept.len() as u64;
        let head = Fetched {
            next: Position { journal: self.number, offset: next },
            complete_until_ms: (next == end).then_some(self.now_ms),
            end,
            gone: std::mem::take(&mut self.gone),
            forgotten: std::mem::take(&mut self.forgotten),
        };
        if fetch.max_bytes > 1 {
            self.handed_out = self.handed_out.max(next);
        }
        Some((ReplayAnswer::Batches(head), batches))
    }

    fn refuses(&mut self, reader: &Reader, about: &str) -> Option<ReplayAnswer> {
        let alive = self.owner_is_alive;
        let refused = |why, text| Some(ReplayAnswer::Refused(Refused { why, text, alive }));
        if let Some((why, text)) = self.refuse.clone() {
            return refused(why, text);
        }
        let now = Instant::now();
        if let Some((owner, about, heard)) = self.owners.get(&reader.name)
            && owner.session != reader.session
            && heard.elapsed() < LEASE
        {
            let text = format!("{about} reads as {}; give another --name", reader.name);
            return refused(Refusal::Owned, text);
        }
        let about = match self.owners.remove(&reader.name) {
            Some((_, before, _)) if about.is_empty() => before,
            _ => about.to_owned(),
        };
        self.owners.insert(reader.name.clone(), (reader.clone(), about, now));
        None
    }
}
