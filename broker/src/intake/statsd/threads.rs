//! The threads of the StatsD intake, and their end.

use super::address::SocketFile;
use super::admin::{self, Commands, Stats};
use super::file::GaugeFile;
use super::publish::{Publisher, SharedGauges};
use super::receive::{Listener, Packets, Receiver};
use super::shared::Shared;
use super::state::Gauges;
use crate::intake::{IntakeContext, IntakeError};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zibrato::check_name;
use zibrato::clock;
use zibrato::daemon::{LogLimit, NotifyOnDrop, Stop};

/// The part of a second at which it is published, in milliseconds. It is near its end, so that what
/// was received in a minute is published in it.
const PUBLISH_AT: u64 = 950;

/// Maximum wait for a thread that ends.
const END: Duration = Duration::from_secs(1);

/// Maximum time in which the broker takes the last series, if the broker does not stop.
const LAST_SERIES: Duration = Duration::from_secs(1);

/// The part of the time until the end that remains for the file of gauges.
const FOR_FILE: u32 = 3;

/// Sockets that are bound.
#[derive(Debug)]
pub(super) struct Open {
    receivers: Vec<Receiver>,
    max_series: usize,
    pub(super) admin: Option<TcpListener>,
    pub(super) files: Vec<SocketFile>,
}

impl Open {
    pub(super) fn new(threads: usize, max_series: usize) -> Self {
        let receiver = || Receiver {
            packets: Vec::new(),
            listeners: Vec::new(),
            shared: Arc::new(Shared::new(max_series)),
        };
        let receivers = (0..threads).map(|_| receiver()).collect();
        Self { receivers, max_series, admin: None, files: Vec::new() }
    }

    /// Adds a socket to each thread.
    pub(super) fn add_packets(&mut self, packets: Vec<Packets>) {
        for (receiver, packets) in self.receivers.iter_mut().zip(packets) {
            receiver.packets.push(packets);
        }
    }

    /// Adds a listener to the first thread.
    pub(super) fn add_listener(&mut self, listener: Listener) {
        if let Some(receiver) = self.receivers.first_mut() {
            receiver.listeners.push(listener);
        }
    }
}

/// The threads that receive and answer commands. Dropping this stops them.
pub(super) struct Threads {
    threads: Vec<Thread>,
    receivers: Vec<Arc<Shared>>,
    gauges: Arc<SharedGauges>,
    stats: Arc<Stats>,
    /// Ends them.
    stop: Stop,
    /// Raised when one of them has ended.
    ended: Stop,
    _files: Vec<SocketFile>,
}

struct Thread {
    ended: Stop,
    handle: JoinHandle<io::Result<()>>,
}

impl Threads {
    /// Starts a thread for each receiver, and one for commands.
    pub(super) fn start(open: Open) -> io::Result<Self> {
        let Open { receivers, max_series, admin, files } = open;
        let stop = Stop::new()?;
        let mut all = Self {
            threads: Vec::new(),
            receivers: receivers.iter().map(|receiver| Arc::clone(&receiver.shared)).collect(),
            gauges: Arc::new(SharedGauges::new(Gauges::new(max_series))),
            stats: Arc::default(),
            stop: stop.clone(),
            ended: Stop::new()?,
            _files: files,
        };
        for (receiver, number) in receivers.into_iter().zip(1..) {
            let stop = stop.clone();
            all.spawn(&format!("zb-statsd-{number}"), move || receiver.run(&stop))?;
        }
        if let Some(listener) = admin {
            let stop = stop.clone();
            let commands = Commands {
                receivers: all.receivers.clone(),
                gauges: Arc::clone(&all.gauges),
                stats: Arc::clone(&all.stats),
                is_down: false,
            };
            all.spawn("zb-statsd-admin", move || admin::run(&listener, commands, &stop))?;
        }
        Ok(all)
    }

    fn spawn(
        &mut self,
        name: &str,
        run: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let ended = Stop::new()?;
        let last_words = [NotifyOnDrop::new(ended.clone()), NotifyOnDrop::new(self.ended.clone())];
        let handle = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _last_words = last_words;
            run()
        })?;
        self.threads.push(Thread { ended, handle });
        Ok(())
    }

    /// Publishes once a second until the broker stops, or one of the threads ends.
    pub(super) fn run(
        mut self,
        context: &mut IntakeContext,
        level: Option<String>,
        source: Option<String>,
        file: Option<&Path>,
    ) -> Result<(), IntakeError> {
        let mut file = file.map(GaugeFile::new);
        if let Some(file) = &mut file {
            file.load(&mut self.gauges.lock(), context.uptime_ms());
        }
        context.set_default_source(&source.unwrap_or_else(host_name));
        let mut publisher = Publisher {
            receivers: self.receivers.clone(),
            gauges: Arc::clone(&self.gauges),
            file,
            level: level.unwrap_or_else(|| context.level().to_owned()),
            seconds: 0,
            is_published: true,
            offenders: LogLimit::default(),
            taken: 0,
            until: None,
        };
        let ended = self.ended.clone();
        let timer = Timer::new()?;
        timer.set()?;
        while context.wait(&[timer.0.as_fd(), ended.as_fd()]) {
            if ended.raised() {
                break;
            }
            timer.set()?;
            self.stats.add(&publisher.publish(context));
        }
        let is_early = !context.stop().raised();
        self.stop.raise();
        let problem = self.join();
        let now = Instant::now();
        let until = context.end_by().map_or(now + LAST_SERIES, |by| {
            let left = by.saturating_duration_since(now);
            now + left - left / FOR_FILE
        });
        let saved = publisher.finish(context, until);
        if is_early {
            problem?;
        }
        Ok(saved?)
    }

    /// Waits until the threads have ended, and returns the problem of one that has failed.
    fn join(&mut self) -> Result<(), IntakeError> {
        let until = Instant::now() + END;
        let mut problem = Ok(());
        for Thread { ended, handle } in self.threads.drain(..) {
            let name = handle.thread().name().unwrap_or_default().to_owned();
            if !ended.wait(until.saturating_duration_since(Instant::now())) {
                problem = Err(format!("{name} does not end").into());
                continue;
            }
            match handle.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => problem = Err(format!("{name}: {error}").into()),
                Err(_) => problem = Err(format!("{name} panicked").into()),
            }
        }
        problem
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.raise();
    }
}

fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if check_name(&name).is_ok() { name } else { zibrato::DEFAULT_SOURCE.to_owned() }
}

/// A timer that is readable near the end of a second of the wall clock.
struct Timer(OwnedFd);

impl Timer {
    fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self(timerfd_create(TimerfdClockId::Monotonic, flags)?))
    }

    /// Sets it to the next such time. It is then no longer readable.
    fn set(&self) -> io::Result<()> {
        let past = clock::unix_ms() % 1_000;
        let left = if past < PUBLISH_AT - 100 { PUBLISH_AT } else { 1_000 + PUBLISH_AT } - past;
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec::try_from(Duration::from_millis(left)).map_err(io::Error::other)?,
        };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}
