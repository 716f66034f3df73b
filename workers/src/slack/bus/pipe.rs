//! `send -`: posts the lines of standard input, many in a message.
//!
//! Standard input is not read while a message waits for Slack. So an outage holds the program that
//! writes there, and this one needs little memory.

use super::flags::{BusFlags, PROGRAM, build, failed};
use super::grammar::read_line;
use super::lines::{Cutter, Line, MAX_LINE_BYTES};
use super::sender::{Sender, Text, is_temporary};
use crate::backoff::{Backoff, Pace, roll};
use crate::deliver::causes;
use crate::slack::client::{Error, ErrorKind, RetryPolicy};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use zibrato::clock;
use zibrato::daemon::{Exit, Failure, LogLimit, Stop, warn};

/// Bytes that are read at a time: the lines of about four messages.
const READ_BYTES: usize = 16 << 10;

/// How long the last messages may take after a signal.
const LAST: Duration = Duration::from_secs(10);

/// The wait between two attempts after a signal.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Posts the lines of standard input, and says how many were not sent.
pub(super) fn pipe(flags: &BusFlags, every: Duration) -> Result<(), Failure> {
    let stop = flags.stop()?;
    let patience = Patience { stop: stop.clone(), until: Arc::default() };
    let waits = patience.clone();
    let builder = flags.builder()?.retries(RetryPolicy::never());
    let client = build(builder.pause(move |wait| waits.go_on_after(wait)))?;
    let input = io::stdin().as_fd().try_clone_to_owned().map_err(unreadable)?;
    let mut pipe = Pipe {
        sender: Sender::new(flags, client)?,
        input: File::from(input),
        patience,
        every,
        cutter: Cutter::default(),
        lines: VecDeque::new(),
        number: 0,
        refused: 0,
        message: Text::default(),
        since: None,
        backoff: Backoff::new(Pace::default()),
        limit: LogLimit::default(),
    };
    let done = pipe.run();
    let refused = match pipe.refused {
        0 => None,
        1 => Some("1 line was not sent, because it is not a metric".to_owned()),
        more => Some(format!("{more} lines were not sent, because they are not metrics")),
    };
    match (done, refused) {
        (Ok(()), None) => Ok(()),
        (Ok(()), Some(refused)) => Err(Failure::new(Exit::Data, refused)),
        (Err(mut failure), refused) => {
            let unsent = match pipe.unsent() {
                1 => "1 was not sent".to_owned(),
                more => format!("{more} were not sent"),
            };
            failure.message += &format!("; of the lines that were read, {unsent}");
            if let Some(refused) = refused {
                failure.message += &format!("; {refused}");
            }
            Err(failure)
        }
    }
}

fn unreadable(why: io::Error) -> Failure {
    Failure::new(Exit::Io, format!("standard input: {why}"))
}

/// Waits before requests. A signal ends them, but the last messages have some seconds more.
#[derive(Debug, Clone)]
struct Patience {
    stop: Stop,
    /// The end of that time.
    until: Arc<OnceLock<Instant>>,
}

impl Patience {
    fn go_on_after(&self, wait: Duration) -> bool {
        let begun = Instant::now();
        if !self.stop.wait(wait) {
            return true;
        }
        let until = *self.until.get_or_init(|| Instant::now() + LAST);
        let left = wait.saturating_sub(begun.elapsed());
        if Instant::now() + left > until {
            return false;
        }
        std::thread::sleep(left);
        true
    }
}

/// What standard input, a signal or the time demands.
enum Event {
    Due,
    Readable,
    Stop,
}

/// Standard input on its way to a channel.
struct Pipe {
    sender: Sender,
    input: File,
    patience: Patience,
    /// The longest time that a line waits for others.
    every: Duration,
    cutter: Cutter,
    /// Lines that were read, and are not in the message yet, each with the Unix time, in seconds, at which
    /// it was read.
    lines: VecDeque<(Line, u64)>,
    /// The number of lines that were looked at.
    number: u64,
    refused: usize,
    /// The next message.
    message: Text,
    /// When its first line was added.
    since: Option<Instant>,
    backoff: Backoff,
    limit: LogLimit,
}

impl Pipe {
    /// Posts lines until the end of standard input, or a signal.
    fn run(&mut self) -> Result<(), Failure> {
        loop {
            self.take_all()?;
            if self.since.is_some_and(|since| since.elapsed() >= self.every) {
                self.post()?;
            }
            match self.wait().map_err(unreadable)? {
                Event::Due => {}
                Event::Readable => {
                    if !self.read().map_err(unreadable)? {
                        break;
                    }
                }
                Event::Stop => return self.end_after_signal(),
            }
        }
        self.take_last()
    }

    /// Posts what is already in standard input, which would be lost with a pipe. The beginning of a line
    /// is no metric: its value may be cut.
    fn end_after_signal(&mut self) -> Result<(), Failure> {
        let until = Instant::now() + LAST;
        while Instant::now() < until && is_readable(&self.input).map_err(unreadable)? {
            if !self.read().map_err(unreadable)? {
                return self.take_last();
            }
            self.take_all()?;
        }
        self.take_all()?;
        self.post()?;
        let is_cut = self.cutter.end().is_some();
        let why = if is_readable(&self.input).map_err(unreadable)? {
            "stopped before the end of standard input; what is left there was not sent"
        } else if is_cut {
            "stopped within a line of standard input, which was not sent"
        } else {
            return Ok(());
        };
        Err(Failure::new(Exit::Unavailable, why))
    }

    /// Posts the rest, at the end of standard input.
    fn take_last(&mut self) -> Result<(), Failure> {
        let last = self.cutter.end();
        self.add([last].into_iter().flatten());
        self.take_all()?;
        self.post()
    }

    /// Adds lines that were just read.
    fn add(&mut self, lines: impl IntoIterator<Item = Line>) {
        let now = clock::unix_ms() / 1000;
        self.lines.extend(lines.into_iter().map(|line| (line, now)));
    }

    /// Waits for something to do.
    fn wait(&self) -> io::Result<Event> {
        let due = self.since.map(|since| self.every.saturating_sub(since.elapsed()));
        let due = due.map(|due| Timespec::try_from(due).unwrap_or_default());
        let mut ready = [
            PollFd::new(&self.patience.stop, PollFlags::IN),
            PollFd::new(&self.input, PollFlags::IN),
        ];
        match poll(&mut ready, due.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => Ok(Event::Due),
            Ok(_) if !ready[0].revents().is_empty() => Ok(Event::Stop),
            Ok(_) => Ok(Event::Readable),
            Err(why) => Err(why.into()),
        }
    }

    /// Reads what there is, and returns whether more may follow.
    fn read(&mut self) -> io::Result<bool> {
        let mut bytes = [0; READ_BYTES];
        match self.input.read(&mut bytes) {
            Ok(0) => Ok(false),
            Ok(count) => {
                let lines = self.cutter.add(bytes.get(..count).unwrap_or_default());
                self.add(lines);
                Ok(true)
            }
            Err(why)
                if matches!(why.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) =>
            {
                Ok(true)
            }
            Err(why) => Err(why),
        }
    }

    fn take_all(&mut self) -> Result<(), Failure> {
        while let Some((line, read_at)) = self.lines.pop_front() {
            self.take(line, read_at)?;
        }
        Ok(())
    }

    /// Adds a line to the message. If it does not fit, the message is posted, and it begins the next
    /// one.
    fn take(&mut self, line: Line, read_at: u64) -> Result<(), Failure> {
        self.number += 1;
        let point = match point(&line, read_at) {
            Ok(Some(point)) => point,
            Ok(None) => return Ok(()),
            Err(why) => {
                self.refused += 1;
                warn(PROGRAM, &format!("line {}: {why}", self.number));
                return Ok(());
            }
        };
        if self.message.add(&point).is_err() {
            if let Err(failure) = self.post() {
                // It counts as not sent.
                self.lines.push_front((line, read_at));
                return Err(failure);
            }
            if let Err(why) = self.message.add(&point) {
                self.refused += 1;
                warn(PROGRAM, &format!("line {}: {why}", self.number));
                return Ok(());
            }
        }
        self.since.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Posts the message, and tries again as long as that may help.
    fn post(&mut self) -> Result<(), Failure> {
        if self.message.lines == 0 {
            return Ok(());
        }
        let mut trouble = None;
        loop {
            let why = match self.sender.post(&self.message.text) {
                Ok(()) => break,
                Err(why) => why,
            };
            if let (Error::Stopped, Some(trouble)) = (&why, trouble) {
                return Err(Failure::new(Exit::Unavailable, format!("stopped; {trouble}")));
            }
            // A channel that was right may become so again.
            let is_channel = why.kind() == ErrorKind::Channel && self.sender.has_posted;
            if !(is_channel || is_temporary(&why)) {
                return Err(failed(&why));
            }
            if !self.patience.stop.raised() {
                self.wait_after(&why, is_channel);
            } else if !self.patience.go_on_after(LAST_WAIT) {
                return Err(failed(&why));
            }
            trouble = Some(causes(&why));
        }
        self.backoff.reset();
        if self.limit.is_over() {
            tracing::info!(event = "send_recovered", lines = self.message.lines);
        }
        (self.message, self.since) = (Text::default(), None);
        Ok(())
    }

    /// Logs a failure, and waits until the next attempt or a signal.
    fn wait_after(&mut self, error: &Error, is_channel: bool) {
        let wait = if is_channel { self.backoff.slow() } else { self.backoff.next(roll()) };
        let wait = wait.max(error.retry_after().unwrap_or_default());
        if let Some(left_out) = self.limit.admit(Instant::now()) {
            let (why, lines, retry_s) = (causes(error), self.message.lines, wait.as_secs());
            tracing::warn!(event = "send_failed", why, lines, retry_s, left_out);
        }
        // After a signal there is one more attempt.
        let _is_stopped = self.patience.stop.wait(wait);
    }

    /// The number of metrics that were read and not posted.
    fn unsent(&self) -> usize {
        let is_metric =
            |(line, read_at): &&(Line, u64)| matches!(point(line, *read_at), Ok(Some(_)));
        self.message.lines + self.lines.iter().filter(is_metric).count()
    }
}

fn is_readable(input: &File) -> io::Result<bool> {
    let mut ready = [PollFd::new(input, PollFlags::IN)];
    Ok(poll(&mut ready, Some(&Timespec::default()))? > 0)
}

/// The point of a line of standard input, as a line of a message. Without a timestamp it has the time at which
/// it was read.
fn point(line: &Line, read_at: u64) -> Result<Option<String>, String> {
    let Some(line) = line else { return Err(format!("it is longer than {MAX_LINE_BYTES} bytes")) };
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let line = match text.split_whitespace().count() {
        2 => format!("{text} {read_at}"),
        _ => text.to_owned(),
    };
    read_line(&line, read_at).map(|point| Some(point.line())).map_err(|why| why.to_string())
}
