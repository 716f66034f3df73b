//! Aggregates the batches of a feed, queues each window when it ends, and commits what is settled.

use super::commits::{Commits, Target};
use super::silence::Silence;
use super::{End, Event, Feed, Guarantee, Health, Outlet, Wait};
use crate::fold::{Folder, Keep};
use crate::idle_gauges::IdleGauges;
use crate::levels::Levels;
use crate::progress::{Checkpoint, Offsets, Progress, Reading};
use crate::status::Status;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::clock::unix_ms;
use zibrato::daemon::{LogLimit, Stop};
use zibrato::window::Window;

/// Maximum wait, so that a change of the clock is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Maximum wait while the worker is stopping.
const STOPPING_WAIT: Duration = Duration::from_millis(100);

/// Maximum number of events between two checks of the clock.
const EVENTS_A_TURN: usize = 1000;

/// While stopping: after this time without a message, everything has arrived.
const QUIET: Duration = Duration::from_millis(100);

/// While stopping: maximum time to wait for further messages.
const LONGEST_DRAIN: Duration = Duration::from_secs(1);

/// While stopping: maximum time for the last commit.
const LAST_COMMIT: Duration = Duration::from_secs(1);

/// Default number of queued windows: few if the feed holds the rest, and many if the oldest one is
/// dropped.
const MAX_WINDOWS_HELD: usize = 4;
pub(crate) const MAX_WINDOWS: usize = 60;

/// The settings of the loop.
#[derive(Debug, Clone)]
pub(crate) struct FeedSettings {
    pub(crate) flush: Duration,
    pub(crate) max_series: usize,
    pub(crate) max_windows: Option<usize>,
    pub(crate) idle_gauges: IdleGauges,
    pub(crate) keep: Keep,
    pub(crate) levels: Levels,
}

/// The loop of the thread `zb-feed`.
pub(crate) struct FeedLoop {
    feed: Box<dyn Feed>,
    guarantee: Guarantee,
    settings: FeedSettings,
    folder: Folder,
    outlet: Outlet,
    progress: Arc<Progress>,
    status: Arc<Status>,
    commits: Commits,
    /// The last position that the feed returned.
    place: Option<Checkpoint>,
    /// Whether the feed had nothing after that position.
    caught_up: bool,
    /// Number of windows that were queued.
    queued: u64,
    gone: LogLimit,
    silence: Silence,
    stopping: bool,
}

impl FeedLoop {
    pub(crate) fn new(
        feed: Box<dyn Feed>,
        settings: FeedSettings,
        mut outlet: Outlet,
        progress: Arc<Progress>,
        status: Arc<Status>,
    ) -> Self {
        let guarantee = feed.guarantee();
        let FeedSettings { flush, max_series, max_windows, idle_gauges: idle, .. } = settings;
        let (folder, most) = match guarantee {
            Guarantee::AtLeastOnce => {
                (Folder::by_stamps(flush, max_series, idle), MAX_WINDOWS_HELD)
            }
            Guarantee::AtMostOnce => (Folder::by_clock(flush, max_series, idle), MAX_WINDOWS),
        };
        outlet.set_most(max_windows.unwrap_or(most));
        let mut this = Self {
            feed,
            guarantee,
            folder: folder.keep(settings.keep),
            silence: Silence::new(&settings.levels, flush),
            settings,
            outlet,
            progress,
            status,
            commits: Commits::new(flush),
            place: None,
            caught_up: false,
            queued: 0,
            gone: LogLimit::default(),
            stopping: false,
        };
        this.observe();
        this
    }

    /// Runs until `stop` is raised or the feed ends, then until everything that can be delivered is
    /// delivered and committed.
    pub(crate) fn run(mut self, stop: &Stop) {
        let end = loop {
            if stop.raised() {
                break None;
            }
            let now_ms = unix_ms();
            let due_ms = self.folder.next_due_ms(now_ms).unwrap_or(u64::MAX);
            let left = Duration::from_millis(due_ms.saturating_sub(now_ms)).min(LONGEST_WAIT);
            match self.turn(left, Some(stop)) {
                Ok(_) => {}
                Err(End::Replaced(feed, why)) => self = self.replace(feed, why),
                Err(end) => break Some(end),
            }
        };
        let ended = end.is_some();
        match end {
            Some(End::TakenOver(why)) => {
                // First, because the worker stops as soon as its queue is abandoned.
                self.status.fail(why);
                // The other reader delivers the queued windows.
                self.outlet.abandon();
                self.observe();
                return self.status.feed_ends();
            }
            Some(End::Failed(why)) => self.status.fail(why),
            Some(_) | None => {}
        }
        // The program then stops the worker, which sets a deadline.
        stop.raise();
        match self.guarantee {
            Guarantee::AtLeastOnce => self.finish(),
            Guarantee::AtMostOnce => self.drain(ended),
        }
        self.feed.close();
        self.status.feed_ends();
    }

    /// Handles the available events, and waits for one if there is none. Returns whether there was
    /// any.
    fn turn(&mut self, longest: Duration, stop: Option<&Stop>) -> Result<bool, End> {
        self.status.feed_is_alive();
        self.progress.clear();
        let progress = Arc::clone(&self.progress);
        let wakers = [Some(progress.descriptor()), stop.map(AsFd::as_fd)];
        let (mut wait, mut any) = (Wait::new(Instant::now() + longest, wakers), false);
        for _ in 0..EVENTS_A_TURN {
            let event = match self.may_take() {
                true => self.feed.next(&wait),
                false => self.feed.hold(&wait),
            };
            // From now on the feed returns only available events.
            wait = Wait::new(Instant::now(), wakers);
            let (window, at) = match event {
                Event::Batch { frames, at } => {
                    self.caught_up = false;
                    self.silence.hears(frames.first().copied().unwrap_or_default());
                    (self.folder.take(&frames, unix_ms()), at)
                }
                Event::Watermark { at, until_ms } => {
                    self.caught_up = true;
                    if let Some(until_ms) = until_ms {
                        self.progress.set_clock(until_ms);
                    }
                    (until_ms.and_then(|until_ms| self.folder.complete(until_ms)), at)
                }
                Event::Idle => break,
                Event::Gone { batches, why } => {
                    self.outlet.ledger().write(|c| c.gone = c.gone.saturating_add(batches));
                    if let Some(left_out) = self.gone.admit(Instant::now()) {
                        tracing::error!(event = "gone", batches, why, left_out);
                    }
                    continue;
                }
                Event::Forgotten { why } => {
                    self.outlet.ledger().write(|c| c.cursors_forgotten += 1);
                    tracing::error!(event = "cursor_forgotten", why);
                    continue;
                }
                Event::End(end) => return Err(end),
            };
            any = true;
            if let Some(window) = window {
                self.progress.begin(window.start_ms());
                self.put(window, Some(at.clone()));
            }
            self.place = Some(at);
        }
        for window in self.folder.due(unix_ms()) {
            self.put(window, None);
        }
        if self.guarantee == Guarantee::AtLeastOnce {
            let target = self.target();
            self.commits.turn(target, &mut *self.feed, self.outlet.ledger(), &self.status);
        }
        self.observe();
        Ok(any)
    }

    /// Whether there is space for a window that the next batch may end.
    fn may_take(&self) -> bool {
        match self.guarantee {
            Guarantee::AtLeastOnce => !self.stopping && self.outlet.has_room(),
            Guarantee::AtMostOnce => true,
        }
    }

    fn put(&mut self, window: Window, through: Option<Checkpoint>) {
        self.queued += 1;
        self.outlet.put(window, through);
    }

    /// Whether everything that was read is delivered.
    fn is_idle(&self) -> bool {
        let delivered = self.progress.delivered().windows == self.queued;
        delivered && self.caught_up && !self.folder.is_open()
    }

    /// The checkpoint to commit.
    fn target(&self) -> Option<Target> {
        let read = if self.is_idle() { self.place.as_ref() } else { None };
        self.commits.target(&self.progress.settled(), read)
    }

    /// Updates the counters and the status of the feed.
    fn observe(&mut self) {
        let replaying = self.guarantee == Guarantee::AtLeastOnce;
        let (offsets, idle) = (self.feed.offsets(), self.is_idle());
        self.progress.set_reading(Reading { replaying, offsets, idle });
        let health = self.feed.health();
        match health {
            Health::Connected => self.status.feed_fails(None),
            Health::Disconnected(why) => self.status.feed_fails(Some(why)),
            Health::Refused(why) => {
                self.status.feed_fails(Some(&format!("the broker rejects requests: {why}")));
            }
        }
        let connected = !matches!(health, Health::Disconnected(_));
        self.outlet.count(self.folder.take_counts(), connected);
        if let Some(levels) = self.silence.silent(Instant::now(), connected) {
            let why = "no message of these levels has arrived so far; `zibrato-tail --levels '*'` \
                       prints what arrives, with its level";
            tracing::info!(event = "silent", levels, why);
        }
    }

    /// Continues with another feed.
    fn replace(mut self, feed: Box<dyn Feed>, why: String) -> Self {
        for window in self.folder.drain() {
            self.put(window, None);
        }
        self.observe();
        self.status.is_live_because(why);
        let Self { settings, outlet, progress, status, .. } = self;
        Self::new(feed, settings, outlet, progress, status)
    }

    /// Queues the windows of messages that still arrive, until no more arrive; then the open
    /// windows.
    fn drain(&mut self, ended: bool) {
        let begun = Instant::now();
        let mut last = begun;
        while !ended && begun.elapsed() < LONGEST_DRAIN && self.outlet.in_time() {
            let quiet = last.elapsed();
            if quiet >= QUIET {
                break;
            }
            match self.turn(QUIET.saturating_sub(quiet), None) {
                Ok(true) => last = Instant::now(),
                Ok(false) => {}
                Err(_) => break,
            }
        }
        for window in self.folder.drain() {
            self.put(window, None);
        }
        self.observe();
        self.outlet.close();
    }

    /// Waits until the queued windows are delivered, and commits them. The open window is dropped:
    /// the next start reads all of it again.
    fn finish(&mut self) {
        self.outlet.close();
        self.stopping = true;
        while !self.progress.ended() && self.outlet.in_time() {
            if self.turn(STOPPING_WAIT, None).is_err() {
                break;
            }
        }
        self.commits.hurry();
        let until = Instant::now() + LAST_COMMIT;
        let left = |this: &Self| this.commits.is_pending() || this.target().is_some();
        while left(self) && Instant::now() < until && self.turn(STOPPING_WAIT, None).is_ok() {}
        if left(self) {
            let why = self.commits.failing.as_deref().unwrap_or("the broker did not answer");
            let what = "the last deliveries will be repeated after the next start";
            tracing::warn!(event = "not_committed", why, what);
        }
        if self.place.is_some() {
            // Zeros are left out.
            let some = |number: u64| Some(number).filter(|number| *number > 0);
            let windows = some(self.queued.saturating_sub(self.progress.delivered().windows));
            let Offsets { committed: offset, end, .. } = self.feed.offsets();
            let behind = offset.and_then(|offset| some(end.saturating_sub(offset)));
            if windows.is_some() || behind.is_some() {
                let what = "undelivered windows stay in the journal; the worker delivers \
                            them after its next start";
                tracing::info!(event = "kept", windows, offset, behind, what);
            }
        }
    }
}
