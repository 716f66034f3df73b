//! The program around a backend: flags, logging, the worker, exit code.

mod crew;
mod dry_run;
mod flags;
pub(crate) mod http;
mod pages;
pub(crate) mod probe;
mod single;

use crate::backend::{Backend, BackendProgram, Greeting, Opened, Target};
use crate::dead_letters::command::{self, Action};
use crate::feed::check_broker;
use crate::worker::{StartError, WorkerBuilder, name_for};
use clap::{Arg, Args};
use crew::{Crew, Views};
use dry_run::DryRun;
use flags::{ProgramFlags, Task, WorkerFlags};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use zibrato::daemon::{
    CommonFlags, Doubts, Exit, Failure, Findings, Output, Program, Stop, Systemd, state_variable,
};

/// How long a worker waits for the broker before it counts as started without it.
const FIRST_ANSWER: Duration = Duration::from_secs(3);

/// Interval of the checks meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Runs a worker program from flags to exit code: reads, aggregates and delivers to `B` until TERM,
/// INT, QUIT or HUP. HUP stays ignored under `nohup`.
///
/// This is the whole of `zibrato-carbon`:
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     zibrato_workers::main::<zibrato_workers::carbon::Carbon>()
/// }
/// ```
#[must_use]
pub fn main<B: BackendProgram>() -> ExitCode {
    zibrato::daemon::main::<ProgramFlags<B>>()
}

impl<B: BackendProgram> Program for ProgramFlags<B> {
    fn common(&self) -> &CommonFlags {
        &self.common
    }

    fn subcommand_flags(path: &str) -> Option<Vec<String>> {
        if path == "run" {
            return None;
        }
        let mut used = match path {
            "check" => vec!["config".to_owned()],
            "send" => vec!["config".to_owned(), "dry-run".to_owned()],
            _ => vec!["config".to_owned(), "dead-letters".to_owned(), "name".to_owned()],
        };
        if matches!(path, "check" | "deadletter send" | "send") {
            let backend = B::Flags::augment_args(clap::Command::new(B::PROGRAM));
            used.extend(backend.get_arguments().filter_map(Arg::get_long).map(str::to_owned));
        }
        Some(used)
    }

    fn subcommand_help(path: &str, command: clap::Command) -> clap::Command {
        let program = B::PROGRAM;
        if path == "send" && B::other_commands().iter().any(|other| other.get_name() == path) {
            // Its alias still works.
            return command.hide(true);
        }
        if path == "send" {
            let command = command.mut_arg("dry_run", |flag| {
                flag.help("Print what would be sent instead of sending it").long_help(None::<&str>)
            });
            return command.after_help(format!(
                "Examples:\n  {program} send test.point 1\n  {program} send 'logins;dc=fra' 3.5 1700000000\n  \
                 {program} send --dry-run test.point 1\n\nsubmit is the same command."
            ));
        }
        let examples = command::examples(program, path);
        if examples.is_empty() {
            return command;
        }
        let of_the_worker = [
            ("name", "The --name of the worker, which is part of the default folder"),
            (
                "dead_letters",
                "Folder of the dead letters [default: that of the worker: \
                 $STATE_DIRECTORY/dead-letters, or zibrato/NAME/dead-letters in $XDG_STATE_HOME or \
                 ~/.local/state]",
            ),
        ];
        let text = |command: clap::Command, (flag, text): (&'static str, &'static str)| {
            command.mut_arg(flag, |flag| flag.help(text))
        };
        of_the_worker.into_iter().fold(command.after_help(examples), text)
    }

    fn other_commands() -> Vec<clap::Command> {
        B::other_commands()
    }

    fn runs(&self) -> bool {
        matches!(self.task, None | Some(Task::Run))
    }

    fn levels(&self) -> Vec<String> {
        self.worker.levels.names()
    }

    fn check(&self, findings: &mut Findings) {
        let flags = &self.worker;
        let letters = findings.take(folder::<B>(flags)).flatten();
        findings.take(shortest_flush::<B>(flags));
        if let Some(letters) = letters
            && findings.take(flags.probe(&letters)).is_some()
        {
            findings.folder("--dead-letters", &letters, None);
        }
        let keys = findings.take(flags.curve.read());
        let mut builder = flags.builder::<B>(None, &self.backend);
        if findings.take(builder.check().map_err(failure)).is_some() {
            match keys {
                Some(curve) => {
                    builder.broker.curve = curve;
                    check_broker(&builder.broker, findings);
                }
                // Without valid keys, findings about encryption would be wrong.
                None => drop(findings.host("--host", builder.broker.bare_host(), flags.port)),
            }
        }
        let mut opened = findings.take(B::open_all(self.backend.clone())).unwrap_or_default();
        for Opened { backend, .. } in &mut opened {
            if let Some(Target { flag, host, port, .. }) = backend.target() {
                findings.host(&flag, &host, port);
            }
            backend.check(findings);
        }
        let doubtful = opened.iter_mut().flat_map(|one| one.backend.doubts(flags.flush));
        let doubtful: BTreeSet<_> = doubtful.collect();
        doubtful.iter().for_each(|why| findings.warning(why));
        findings.take(flags.http.bind());
        findings.take(WorkerBuilder::probe(opened.len()).map_err(failure));
    }

    fn run(self, doubts: Doubts) -> Result<ExitCode, Failure> {
        let Self { task, worker: flags, backend, .. } = self;
        let mut out = Output::new();
        let done = match task {
            None | Some(Task::Run) => return work::<B>(&flags, backend, doubts),
            Some(Task::Check) => single::check(B::open_all(backend)?, &mut out),
            Some(Task::Deadletter { action }) => {
                dead_letters::<B>(&action, &flags, backend, &mut out)
            }
            Some(Task::Send(point)) => {
                single::send(&point, B::open_all(backend)?, flags.dry_run, &mut out)
            }
        };
        done.and(out.finish()).map(|()| Exit::Fine.into())
    }
}

/// Executes a command about dead letters.
fn dead_letters<B: BackendProgram>(
    action: &Action,
    flags: &WorkerFlags,
    backend: B::Flags,
    out: &mut Output,
) -> Result<(), Failure> {
    let letters = folder::<B>(flags)?.ok_or_else(|| {
        let why = "--dead-letters is off; give the folder with the dead letters";
        Failure::new(Exit::Config, why)
    })?;
    let named = |one: Opened<B>| {
        let name = name_for(&flags.name(B::PROGRAM), one.destination.as_deref());
        (name, one.backend)
    };
    let open = || Ok(B::open_all(backend)?.into_iter().map(named).collect());
    command::run(action, &letters, open, out)
}

/// Delivers until the program is to stop.
fn work<B: BackendProgram>(
    flags: &WorkerFlags,
    backend: B::Flags,
    doubts: Doubts,
) -> Result<ExitCode, Failure> {
    shortest_flush::<B>(flags)?;
    let letters = if flags.dry_run { None } else { folder::<B>(flags)? };
    if let Some(letters) = &letters {
        flags.probe(letters)?;
    }
    let builder = flags.builder::<B>(letters.clone(), &backend);
    let builder = match flags.curve.read()? {
        Some(curve) => builder.curve(curve),
        None => builder,
    };
    builder.check().map_err(failure)?;
    let mut opened = B::open_all(backend)?;
    opened.iter_mut().for_each(|one| one.backend.subscribes(&flags.levels));
    let doubtful = opened.iter_mut().flat_map(|one| one.backend.doubts(flags.flush)).collect();
    let (letters, doubts) = (letters.as_deref(), (doubts, doubtful));
    let done = if flags.dry_run {
        let opened = opened.into_iter().map(DryRun::of).collect();
        run::<B, _>(flags, &builder, opened, Vec::new(), letters, doubts)
    } else {
        let greeting = |one: &Opened<B>| {
            let connects = || one.backend.target().map(probe::connects_to);
            one.backend.greeting().or_else(connects)
        };
        let greetings = opened.iter().filter_map(greeting).collect();
        run::<B, _>(flags, &builder, opened, greetings, letters, doubts)
    };
    done.map(|()| Exit::Fine.into())
}

/// The folder of dead letters, from the flags and the environment.
fn folder<B: BackendProgram>(flags: &WorkerFlags) -> Result<Option<PathBuf>, Failure> {
    flags.folder(B::PROGRAM, state_variable)
}

fn shortest_flush<B: BackendProgram>(flags: &WorkerFlags) -> Result<(), Failure> {
    if flags.flush >= B::SHORTEST_FLUSH {
        return Ok(());
    }
    let least = B::SHORTEST_FLUSH.as_secs_f64();
    let message = format!("--flush: this backend needs windows of at least {least} s");
    Err(Failure::new(Exit::Config, message))
}

fn run<P: BackendProgram, B: Backend>(
    flags: &WorkerFlags,
    builder: &WorkerBuilder,
    opened: Vec<Opened<B>>,
    greetings: Vec<Greeting>,
    letters: Option<&Path>,
    (doubts, doubtful): (Doubts, BTreeSet<String>),
) -> Result<(), Failure> {
    let stop = Stop::on_signals()
        .and_then(Stop::on_hangup)
        .map_err(|why| Failure::new(Exit::Unavailable, format!("signals: {why}")))?;
    let to: Vec<_> = opened.iter().filter_map(|one| one.backend.destination()).collect();
    let to = (!to.is_empty()).then(|| to.join(", "));
    // A worker that cannot serve its pages does not start, and creates no cursor.
    let listener = flags.http.bind()?;
    let crew = Crew::start(builder, opened, &stop).map_err(failure)?;
    let views = crew.views();
    let serve = |listener| {
        let views = views.clone();
        http::serve(listener, move |path| pages::page(path, P::PROGRAM, &views))
    };
    let http = listener.map(serve).transpose()?;
    doubts.log();
    for why in doubtful {
        tracing::warn!(event = "doubtful", why);
    }
    wait_for_broker(&stop, &views);
    if views.failure().is_none() {
        tracing::info!(
            event = "started",
            program = P::PROGRAM,
            name = flags.name(P::PROGRAM),
            to,
            host = flags.host,
            port = flags.port,
            levels = %flags.levels,
            flush_s = flags.flush.as_secs_f64(),
            http = http.as_ref().map(|http| tracing::field::display(http.address())),
            dead_letters = letters.map(|letters| tracing::field::display(letters.display())),
        );
        // The threads end by themselves within seconds, and nothing waits for them.
        let _probes: Vec<_> = greetings.into_iter().filter_map(probe::start).collect();
        attend(&stop, &views);
    }
    tracing::info!(event = "stopping");
    let report = crew.stop(flags.shutdown_timeout);
    let (series, windows) = (report.series_delivered, report.windows_delivered);
    let (series_rejected, series_kept) = (report.series_rejected, report.series_kept);
    // Rejected series are not lost: they are in dead letters.
    let series_lost = report.series_lost - series_rejected;
    tracing::info!(event = "ended", series, windows, series_rejected, series_lost, series_kept);
    drop(http);
    if let Some(why) = report.failure {
        return Err(Failure::new(Exit::Unavailable, why));
    }
    if report.panicked {
        let message = "a thread panicked; the line above says where. Restart the worker";
        return Err(Failure::new(Exit::Unavailable, message));
    }
    Ok(())
}

/// Waits until the broker has answered (the answer may be that another worker has the name), until
/// the worker has to stop, or for a short time, because a broker may be started later.
fn wait_for_broker(stop: &Stop, views: &Views) {
    let begun = Instant::now();
    while !views.are_answered() && begun.elapsed() < FIRST_ANSWER && !stop.wait(LOOK_EVERY) {}
}

/// Reports the state of the worker to systemd until it is to stop. A backend that is down is no
/// reason for a restart; a thread without progress is.
fn attend(stop: &Stop, views: &Views) {
    let systemd = Systemd::from_env();
    systemd.ready(&pages::status(views));
    let mut stuck = None;
    while !stop.wait(systemd.beat()) {
        let now = views.stuck();
        match now {
            None => systemd.alive(),
            Some(why) if stuck.is_none() => tracing::error!(event = "stuck", why),
            Some(_) => {}
        }
        stuck = now;
        systemd.status(&pages::status(views));
    }
    systemd.stopping();
}

fn failure(error: StartError) -> Failure {
    let exit = match error {
        StartError::Address { .. }
        | StartError::Flush { .. }
        | StartError::Name { .. }
        | StartError::Port { .. } => Exit::Config,
        StartError::Shortage(_) | StartError::Socket { .. } | StartError::System(_) => {
            Exit::Unavailable
        }
    };
    let why = std::error::Error::source(&error).map_or(String::new(), |why| format!(": {why}"));
    Failure::new(exit, format!("{error}{why}"))
}
