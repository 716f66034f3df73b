//! The program around a backend: flags, logging, run, exit code.

mod flags;
mod pages;

use crate::backend::BackendProgram;
use crate::dead_letters::command;
use crate::worker::{StartError, View, WorkerBuilder};
use flags::{Http, ProgramFlags, Task, WorkerFlags};
use std::path::Path;
use std::process::ExitCode;
use zibrato::daemon::{Exit, Failure, HttpServer, Output, Stop, Systemd, print};

/// Runs a worker program from flags to exit code: reads, folds, delivers to `B`, until TERM, INT,
/// QUIT or HUP; HUP stays ignored below `nohup`.
///
/// The whole of `zibrato-carbon` is
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     zibrato_workers::main::<zibrato_workers::carbon::Carbon>()
/// }
/// ```
#[must_use]
pub fn main<B: BackendProgram>() -> ExitCode {
    zibrato::daemon::main(|flags| start::<B>(flags).map(|()| Exit::Fine.into()))
}

fn start<B: BackendProgram>(flags: ProgramFlags<B>) -> Result<(), Failure> {
    let ProgramFlags { task, worker: flags, backend, common } = flags;
    common.init_logging()?;
    let letters = flags.folder(B::PROGRAM, |name| std::env::var_os(name));
    if let Some(Task::Deadletter { action }) = task {
        let letters = letters.ok_or_else(|| {
            Failure::new(Exit::Config, "nothing says where dead letters are; give --dead-letters")
        })?;
        let mut out = Output::new();
        command::run(&action, &letters, || B::open(backend), &mut out)?;
        return out.finish();
    }
    if flags.flush < B::SHORTEST_FLUSH {
        let least = B::SHORTEST_FLUSH.as_secs_f64();
        let message = format!("--flush: this backend needs at least {least} s between windows");
        return Err(Failure::new(Exit::Config, message));
    }
    let builder = flags.builder(B::PROGRAM, letters.clone());
    let builder = match flags.curve.read()? {
        Some(curve) => builder.curve(curve),
        None => builder,
    };
    builder.check().map_err(failure)?;
    let backend = B::open(backend)?;
    if common.check {
        return print("fine\n");
    }
    if letters.is_none() {
        let why = "nothing says where; give --dead-letters, or what is rejected is only counted";
        tracing::warn!(event = "no_dead_letters", why);
    }
    run(&flags, builder, backend, letters.as_deref())
}

fn run<B: BackendProgram>(
    flags: &WorkerFlags,
    builder: WorkerBuilder,
    backend: B,
    letters: Option<&Path>,
) -> Result<(), Failure> {
    let stop = Stop::on_signals()
        .and_then(Stop::on_hangup)
        .map_err(|why| Failure::new(Exit::Unavailable, format!("signals: {why}")))?;
    let to = backend.destination();
    let worker = builder.start_with(backend, stop.clone()).map_err(failure)?;
    let view = worker.view();
    let http = serve(flags.http, B::PROGRAM, &view)?;
    tracing::info!(
        event = "started",
        program = B::PROGRAM,
        name = flags.name(B::PROGRAM),
        to,
        host = flags.host,
        port = flags.port,
        levels = %flags.levels,
        flush_s = flags.flush.as_secs_f64(),
        http = http.as_ref().map(|http| tracing::field::display(http.address())),
        dead_letters = letters.map(|letters| tracing::field::display(letters.display())),
    );
    attend(&stop, &view);
    tracing::info!(event = "stopping");
    let report = worker.stop(flags.shutdown_timeout);
    let (series, windows) = (report.series_delivered, report.windows_delivered);
    let (series_lost, series_kept) = (report.series_lost, report.series_kept);
    tracing::info!(event = "ended", series, windows, series_lost, series_kept);
    drop(http);
    if let Some(why) = report.failure {
        return Err(Failure::new(Exit::Unavailable, why));
    }
    if report.panicked {
        let message = "a thread panicked; the line above says where. Start the worker again";
        return Err(Failure::new(Exit::Unavailable, message));
    }
    Ok(())
}

fn serve(http: Http, program: &'static str, view: &View) -> Result<Option<HttpServer>, Failure> {
    let Http::At(address) = http else { return Ok(None) };
    let view = view.clone();
    let server = HttpServer::start(address, move |path| pages::page(path, program, &view));
    server.map(Some).map_err(|error| Failure::new(Exit::Unavailable, error.to_string()))
}

/// Tells systemd how the worker is, until it is to stop. A backend that is away is no reason to be
/// restarted; a thread that does not move is.
fn attend(stop: &Stop, view: &View) {
    let systemd = Systemd::from_env();
    systemd.ready(&pages::status(view));
    let mut stuck = None;
    while !stop.wait(systemd.beat()) {
        let now = view.stuck();
        match now {
            None => systemd.alive(),
            Some(why) if stuck.is_none() => tracing::error!(event = "stuck", why),
            Some(_) => {}
        }
        stuck = now;
        systemd.status(&pages::status(view));
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
