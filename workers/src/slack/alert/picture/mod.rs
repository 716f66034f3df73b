//! Pictures of alerts: each is drawn and uploaded into the thread of its message.
//!
//! That happens in a thread of its own with a short queue, after Slack has accepted the message, so that
//! no message waits for a picture, and none is lost because of one.

mod chart;
mod letters;

use super::rules::{Condition, Rules};
use super::state::Track;
use crate::deliver::causes;
use crate::slack::client::{Client, ClientBuilder, Error, Upload};
use crate::slack::format::{MAX_NAME, shorten};
use chart::{Chart, Limit};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zibrato::daemon::{Exit, Failure, LogLimit, Stop};

/// Pictures that may wait. Further alerts get none.
const MOST: usize = 16;

/// The longest wait for pictures at the end of the program.
const PATIENCE: Duration = Duration::from_secs(3);

const DAY_MS: u64 = 86_400_000;

/// A picture to draw, and the message in whose thread it is posted.
#[derive(Debug)]
pub(super) struct Job {
    track: Track,
    condition: Option<Condition>,
    zone: TimeZone,
    channel: String,
    ts: String,
    /// The end of the last window, and the length of each, in milliseconds.
    through: (u64, u64),
}

impl Job {
    pub(super) fn new(
        track: &Track,
        rules: &Rules,
        (channel, ts): &(String, String),
        through: (u64, u64),
    ) -> Self {
        let rule = rules.rules.iter().find(|rule| rule.name == track.rule);
        Self {
            track: track.clone(),
            condition: rule.map(|rule| rule.condition),
            zone: rules.zone.clone(),
            channel: channel.clone(),
            ts: ts.clone(),
            through,
        }
    }

    /// The upload; `None` if the picture cannot be drawn.
    fn upload(&self) -> Option<Upload> {
        let Track { rule, metric, source, tags, unit, value, .. } = &self.track;
        let values: Vec<_> = self.track.values.iter().copied().collect();
        let limit = match self.condition {
            Some(Condition::Above { limit, .. }) => Some(Limit::Above(limit)),
            Some(Condition::Below { limit, .. }) => Some(Limit::Below(limit)),
            Some(Condition::Absent) | None => None,
        };
        let blank = if tags.is_empty() { "" } else { " · " };
        let (from, to) = self.times(values.len());
        let chart = Chart {
            title: metric,
            subtitle: &format!("{source}{blank}{tags}"),
            values: &values,
            limit,
            from: &from,
            to: &to,
        };
        let png = chart.png(|value| unit.show(value))?;
        let title = format!("{} on {}", shorten(metric, MAX_NAME), shorten(source, MAX_NAME));
        let now = value.map_or_else(|| "no data".to_owned(), |value| unit.show(value));
        let limit = self.condition.map_or_else(String::new, |condition| condition.shown(unit));
        let said = format!("{title}: {now} ({limit}), from {from} to {to}");
        let upload = Upload::new(format!("{}.png", rule.replace(':', "-")), png).title(title);
        let upload = upload.description(said).to(&*self.channel);
        Some(upload.thread(&self.ts.parse().ok()?))
    }

    /// When the curve begins and ends, in the zone of the rules.
    fn times(&self, windows: usize) -> (String, String) {
        let (end_ms, length_ms) = self.through;
        let span_ms = length_ms.saturating_mul(windows as u64);
        let format = if span_ms > DAY_MS { "%b %d %H:%M" } else { "%H:%M" };
        let shown = |ms: u64| {
            let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
            let time = time.map(|time| self.zone.to_datetime(time));
            time.map_or_else(String::new, |time| time.strftime(format).to_string())
        };
        let zone = self.zone.iana_name().unwrap_or("UTC");
        (shown(end_ms.saturating_sub(span_ms)), format!("{} {zone}", shown(end_ms)))
    }
}

/// The thread that draws and uploads.
#[derive(Debug)]
pub(super) struct Pictures {
    client: Client,
    stop: Stop,
    running: Option<Running>,
    full: LogLimit,
}

#[derive(Debug)]
struct Running {
    jobs: Sender<Job>,
    /// Disconnected when the thread ends.
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

impl Pictures {
    pub(super) fn new(settings: ClientBuilder) -> Result<Self, Failure> {
        let failed = |why: String| Failure::new(Exit::Config, format!("--alert-picture: {why}"));
        let stop = Stop::new().map_err(|why| failed(why.to_string()))?;
        let token = stop.clone();
        let client = settings.pause(move |wait| !token.wait(wait)).build();
        let client = client.map_err(|why| failed(why.to_string()))?;
        Ok(Self { client, stop, running: None, full: LogLimit::default() })
    }

    /// Draws and uploads a picture later, if there is room for it.
    pub(super) fn offer(&mut self, job: Job) {
        let why = match self.running() {
            Ok(running) => match running.jobs.try_send(job) {
                Ok(()) => return,
                Err(_) => "too many pictures wait, because Slack does not accept them".to_owned(),
            },
            Err(why) => format!("no thread can be started: {why}"),
        };
        if let Some(left_out) = self.full.admit(Instant::now()) {
            tracing::warn!(event = "picture_dropped", why, left_out);
        }
    }

    fn running(&mut self) -> std::io::Result<&Running> {
        if let Some(running) = self.running.take_if(|running| running.thread.is_finished()) {
            drop(running); // Its panic was printed.
        }
        if self.running.is_none() {
            let (jobs, waiting) = bounded(MOST);
            let (alive, ended) = bounded(0);
            let (client, stop) = (self.client.clone(), self.stop.clone());
            let thread = std::thread::Builder::new().name("zb-pictures".to_owned());
            let thread = thread.spawn(move || {
                let _alive: Sender<()> = alive;
                upload_all(&waiting, &client, &stop);
            })?;
            self.running = Some(Running { jobs, ended, thread });
        }
        self.running.as_ref().ok_or_else(|| std::io::ErrorKind::Other.into())
    }
}

/// Waits a little for the pictures that are not uploaded yet.
impl Drop for Pictures {
    fn drop(&mut self) {
        let Some(Running { jobs, ended, thread }) = self.running.take() else { return };
        drop(jobs);
        if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Disconnected) {
            // A panic was printed.
            drop(thread.join());
        } else {
            // It ends with its current request, or with the program.
            self.stop.raise();
        }
    }
}

fn upload_all(jobs: &Receiver<Job>, client: &Client, stop: &Stop) {
    let mut failing: LogLimit = LogLimit::default();
    for job in jobs {
        if stop.raised() {
            return;
        }
        let why = match job.upload().map(|upload| client.upload(&upload)) {
            Some(Ok(file)) => {
                tracing::debug!(event = "picture", rule = job.track.rule, file);
                continue;
            }
            Some(Err(Error::Stopped)) => return,
            Some(Err(why)) => remedied(&why),
            None => "it cannot be drawn".to_owned(),
        };
        if let Some(left_out) = failing.admit(Instant::now()) {
            let what = "the alert itself was posted";
            tracing::warn!(event = "picture_failed", rule = job.track.rule, why, what, left_out);
        }
    }
}

/// An error, with the scope that uploads need.
fn remedied(error: &Error) -> String {
    let why = causes(error);
    match error {
        Error::Refused(refused) if refused.word == "missing_scope" && refused.needed.is_none() => {
            format!("{}: missing_scope: give the app the scope files:write", refused.method)
        }
        _ => why,
    }
}

#[cfg(test)]
mod tests;
