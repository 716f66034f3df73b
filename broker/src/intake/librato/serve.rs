//! The thread of the intake: takes requests, publishes their measurements, and answers once the broker
//! has them on disk.
//!
//! ```text
//! requests ─▶ folded ─ published together ─▶ in flight ─ acknowledged ─▶ answered
//! ```
//!
//! While some requests are in flight, the next ones are read and folded, so that a slow disk makes the
//! groups larger, and not the service slower.

use super::answer::Answer;
use super::api::{Api, Done};
use super::job::Job;
use super::memory::Memory;
use super::tally::Tally;
use crate::intake::IntakeContext;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use zibrato::daemon::{Stop, Waker};

/// Maximum time until the broker has measurements on disk. Then their clients are told to try again.
const LONGEST: Duration = Duration::from_secs(10);

/// Maximum number of requests that are read before acknowledgements are looked at. If nothing is in flight
/// then, what was read is published, and the next requests are read while the disk works.
const ROUND: usize = 16;

/// How often waiting clients are looked at, in milliseconds.
const LOOK_MS: u64 = 500;

/// Maximum time for the last requests, after the broker begins to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// What connects the thread with that of HTTP.
#[derive(Clone, Copy)]
pub(super) struct Service<'a> {
    pub(super) jobs: &'a Receiver<Job>,
    pub(super) tally: &'a Tally,
    pub(super) memory: &'a Memory,
}

/// An answer that waits for the disk.
struct Waiting {
    answer: Answer,
    to: oneshot::Sender<Answer>,
}

/// The groups of requests.
#[derive(Default)]
struct Groups {
    folded: Vec<Waiting>,
    in_flight: Vec<Waiting>,
    /// Since when the broker has not acknowledged what the oldest of them waits for.
    since: Option<Instant>,
}

impl Groups {
    /// Answers what is on disk, and publishes what was folded meanwhile.
    fn advance(&mut self, context: &mut IntakeContext, api: &mut Api) {
        if self.since.is_none() || !context.is_acknowledged() {
            return;
        }
        for Waiting { answer, to } in self.in_flight.drain(..) {
            // The client may have gone.
            to.send(answer).ok();
        }
        self.since = None;
        // There may be batches although their clients were told to try again.
        if !self.folded.is_empty() || api.has_batches() {
            api.publish(context);
            std::mem::swap(&mut self.folded, &mut self.in_flight);
            self.since = Some(Instant::now());
        }
    }

    /// Whether the broker writes nothing.
    fn is_late(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= LONGEST)
    }

    /// Tells all clients to try again.
    fn give_up(&mut self, context: &mut IntakeContext) {
        let count = (self.in_flight.len() + self.folded.len()) as u64;
        for Waiting { to, .. } in self.in_flight.drain(..).chain(self.folded.drain(..)) {
            to.send(unwritten()).ok();
        }
        let sample = b"clients were told that their measurements may not be on disk";
        context.reject_many("unwritten", count, sample);
    }
}

fn unwritten() -> Answer {
    Answer::later(
        "the broker could not write the measurements to disk in time; see its page /readyz. They \
         may be written later; try again",
    )
}

/// Serves until the broker stops, or the other thread ends.
pub(super) fn run(
    context: &mut IntakeContext,
    mut api: Api,
    service: &Service<'_>,
    (waker, ended): (&Arc<Waker>, &Stop),
) {
    let Service { jobs, tally, memory } = *service;
    context.wake_on_acks(Arc::clone(waker));
    let mut groups = Groups::default();
    loop {
        let until_ms = match groups.since {
            Some(_) => context.now_ms() + LOOK_MS,
            None => u64::MAX,
        };
        if !context.wait_until(&[waker.as_fd(), ended.as_fd()], until_ms) || ended.raised() {
            break;
        }
        waker.clear();
        tally.take(context);
        loop {
            groups.advance(context, &mut api);
            if groups.is_late() {
                groups.give_up(context);
            }
            if take(context, &mut api, jobs, &mut groups, ROUND) < ROUND {
                break;
            }
        }
        groups.advance(context, &mut api);
        context.holds(api.bytes() + memory.bytes());
    }
    finish(context, &mut api, service, (groups, ended));
}

/// Takes at most `most` requests, and returns how many there were.
fn take(
    context: &mut IntakeContext,
    api: &mut Api,
    jobs: &Receiver<Job>,
    groups: &mut Groups,
    most: usize,
) -> usize {
    for count in 0..most {
        let Ok(Job { request, answer: to }) = jobs.try_recv() else { return count };
        // What earlier clients were told is not on disk yet, so nothing else would be.
        let done = if groups.is_late() {
            context.reject_many("unwritten", 1, b"a request, while the disk is slow or full");
            Done::Now(unwritten())
        } else {
            api.handle(context, &request)
        };
        match done {
            Done::Now(answer) => drop(to.send(answer)),
            Done::OnDisk(answer) => {
                groups.folded.push(Waiting { answer, to });
                groups.since.get_or_insert_with(Instant::now);
            }
        }
    }
    most
}

/// Answers what was received before the end.
fn finish(
    context: &mut IntakeContext,
    api: &mut Api,
    service: &Service<'_>,
    (mut groups, ended): (Groups, &Stop),
) {
    let until = Instant::now() + LAST_ANSWERS;
    loop {
        let is_over = ended.wait(Duration::from_millis(5));
        while take(context, api, service.jobs, &mut groups, ROUND) == ROUND {}
        groups.advance(context, api);
        let is_idle = groups.folded.is_empty() && groups.in_flight.is_empty();
        if is_idle && is_over || Instant::now() >= until {
            break;
        }
    }
    groups.give_up(context);
    service.tally.take(context);
}
