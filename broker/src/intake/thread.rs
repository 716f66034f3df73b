//! The threads of intakes: opened before the broker starts, stopped before the router.

use super::level::check_reserved;
use super::rules::{RulesReader, RulesStore};
use super::{Intake, IntakeContext, IntakeError, Link, OpenIntake, Run, Unprotected, check_names};
use crate::start_error::StartError;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zibrato::daemon::{NotifyOnDrop, Stop};
use zibrato::wire::PublisherId;

/// Maximum number of batches queued on each side of the path to the router.
const MAX_BATCHES: i32 = 8;

/// Maximum time that an intake waits, at its end, for the router to accept its last batches.
const LAST_BATCHES: Duration = Duration::from_secs(1);

/// Intakes that listen but do not run yet.
#[derive(Debug)]
pub(crate) struct Opened {
    threads: Vec<ReadyThread>,
    stop: Stop,
    end_by: Arc<OnceLock<Instant>>,
}

/// An intake whose thread is not started yet.
#[derive(Debug)]
struct ReadyThread {
    address: String,
    intake: OpenIntake,
    context: IntakeContext,
}

/// The router's side of an intake: a PULL socket, and the link.
pub(crate) struct RouterSide {
    pub(crate) socket: zmq::Socket,
    pub(crate) name: &'static str,
    pub(crate) link: Arc<Link>,
}

/// Opens intakes, and the path from each to the router.
pub(crate) fn open(
    intakes: &[Arc<dyn Intake>],
    level: &str,
    rules: Option<&Arc<RulesStore>>,
    context: &zmq::Context,
) -> Result<(Opened, Vec<RouterSide>), StartError> {
    let failed = |(name, problem): (&str, IntakeError)| StartError::Intake {
        name: name.to_owned(),
        problem,
    };
    check_names(intakes.iter().map(|intake| intake.name())).map_err(failed)?;
    let (stop, end_by) = (Stop::new()?, Arc::<OnceLock<Instant>>::default());
    let (mut threads, mut sides) = (Vec::new(), Vec::new());
    for intake in intakes {
        let name = intake.name();
        for level in intake.levels().iter().map(String::as_str).chain([level]) {
            check_reserved(level).map_err(|why| failed((name, why.into())))?;
        }
        let opened = intake.open().map_err(|error| failed((name, error)))?;
        warn_of_exposed(&**intake);
        let (push, pull) = path(context, name).map_err(StartError::Socket)?;
        let link = Arc::new(Link::new(name, PublisherId::random()));
        let mut context =
            IntakeContext::new(name, level.to_owned(), stop.clone(), push, Arc::clone(&link));
        context.rules = RulesReader::new(rules.cloned());
        context.end_by = Arc::clone(&end_by);
        threads.push(ReadyThread { address: opened.address.clone(), intake: opened, context });
        sides.push(RouterSide { socket: pull, name, link });
    }
    Ok((Opened { threads, stop, end_by }, sides))
}

/// Logs the addresses at which other machines can send without protection.
fn warn_of_exposed(intake: &dyn Intake) {
    for Unprotected { flag, address, protection, .. } in
        intake.unprotected().into_iter().filter(Unprotected::is_exposed)
    {
        tracing::warn!(
            event = "open_to_everyone",
            intake = intake.name(),
            flag,
            address,
            why = "anyone who reaches the address can use it",
            remedy = protection.unwrap_or("only let hosts that you trust reach it")
        );
    }
}

/// Two connected sockets, for the thread and for the router.
fn path(context: &zmq::Context, name: &str) -> zmq::Result<(zmq::Socket, zmq::Socket)> {
    let address = format!("inproc://intake-{name}");
    let (push, pull) = (context.socket(zmq::PUSH)?, context.socket(zmq::PULL)?);
    push.set_sndhwm(MAX_BATCHES)?;
    pull.set_rcvhwm(MAX_BATCHES)?;
    push.set_linger(0)?;
    pull.set_linger(0)?;
    pull.bind(&address)?;
    push.connect(&address)?;
    Ok((push, pull))
}

/// The threads that run. Dropping this stops them.
#[derive(Debug, Default)]
pub(crate) struct IntakeThreads {
    threads: Vec<IntakeThread>,
    stop: Option<Stop>,
    end_by: Arc<OnceLock<Instant>>,
}

/// How the threads ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntakesEnd {
    Fine,
    /// One of them has failed while the broker stops.
    Failed,
    /// One of them still runs.
    Late,
}

#[derive(Debug)]
struct IntakeThread {
    name: &'static str,
    address: String,
    ended: Stop,
    /// Returns whether it has failed while the broker stops.
    handle: Option<JoinHandle<bool>>,
}

impl IntakeThreads {
    /// Starts the threads.
    pub(crate) fn start(opened: Opened) -> Result<Self, StartError> {
        let mut all = Self { threads: Vec::new(), stop: Some(opened.stop), end_by: opened.end_by };
        for ReadyThread { address, intake, context } in opened.threads {
            let (name, ended) = (context.name, Stop::new()?);
            let last_word = NotifyOnDrop::new(ended.clone());
            let thread = std::thread::Builder::new().name(format!("zb-{name}"));
            let handle = thread.spawn(move || {
                let _last_word = last_word;
                run(context, intake.run)
            })?;
            all.threads.push(IntakeThread { name, address, ended, handle: Some(handle) });
        }
        Ok(all)
    }

    /// The name and the address of each intake.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.threads.iter().map(|thread| (thread.name, &*thread.address))
    }

    /// Lets the threads read what has arrived, publish it and end. Meanwhile the router must accept
    /// what they publish.
    pub(crate) fn stop(&mut self, by: Instant) -> IntakesEnd {
        self.end_by.get_or_init(|| by);
        if let Some(stop) = &self.stop {
            stop.raise();
        }
        let mut end = IntakesEnd::Fine;
        for IntakeThread { name, ended, handle, .. } in &mut self.threads {
            let Some(running) = handle.take() else { continue };
            if ended.wait(by.saturating_duration_since(Instant::now())) {
                // The thread has reported its end, so this does not block.
                if running.join().unwrap_or(true) && end == IntakesEnd::Fine {
                    end = IntakesEnd::Failed;
                }
            } else {
                end = IntakesEnd::Late;
                let why = "it has half of --shutdown-timeout; give it more";
                tracing::error!(event = "intake_does_not_stop", intake = name, why);
            }
        }
        end
    }
}

impl Drop for IntakeThreads {
    fn drop(&mut self) {
        self.stop(Instant::now() + LAST_BATCHES);
    }
}

/// Runs an intake until it returns, fails or panics. Returns whether it has failed while the broker
/// stops.
fn run(mut context: IntakeContext, run: Box<Run>) -> bool {
    let ended = catch_unwind(AssertUnwindSafe(|| run(&mut context)));
    let error = match ended {
        Ok(Ok(())) if context.stop().raised() => None,
        Ok(Ok(())) => Some("it returned although the broker does not stop".to_owned()),
        Ok(Err(error)) => Some(error.to_string()),
        Err(panic) => Some(format!("it panicked: {}", text(&*panic))),
    };
    let is_failed = error.is_some() && context.stop().raised();
    if let Some(error) = error {
        context.counters.failures += 1;
        tracing::error!(event = "intake_failed", intake = context.name, error);
    }
    context.finish(LAST_BATCHES);
    is_failed
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&str>().copied();
    literal.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
