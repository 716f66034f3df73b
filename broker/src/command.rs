//! The command line of the program `zibrato-broker`.

mod bucky;
mod check;
mod cursors;
mod flags;
mod intakes;
mod journal;
mod rules;

pub use flags::Flags;

use crate::broker::{Broker, End};
use crate::intake::rules::RulesStore;
use crate::keygen;
use crate::start_error::StartError;
use cursors::{CursorsCommand, RunningBroker};
use flags::{Command, failure};
use std::process::ExitCode;
use zibrato::curve::Curve;
use zibrato::daemon::{
    CommonFlags, Doubts, Exit, Failure, Findings, Hangup, Program, Stop, Systemd,
    check_configuration,
};
use zibrato::resources::new_context;
use zibrato::wire::Endpoint;

impl Program for Flags {
    fn common(&self) -> &CommonFlags {
        &self.common
    }

    fn subcommand_flags(path: &str) -> Option<Vec<String>> {
        let used: &[&str] = match path.split(' ').next() {
            Some("cursors") => &["host", "port", "ipc", "curve-key", "config"],
            Some("journal") => &["journal", "config"],
            _ => &[],
        };
        Some(used.iter().map(|flag| (*flag).to_owned()).collect())
    }

    fn subcommand_help(path: &str, command: clap::Command) -> clap::Command {
        let texts: &[(&str, &str)] = match path.split(' ').next() {
            Some("cursors") => &cursors::FLAGS,
            Some("journal") => &journal::FLAGS,
            _ => &[],
        };
        let text = |command: clap::Command, (flag, text): &(&'static str, &'static str)| {
            command.mut_arg(*flag, |flag| flag.help(*text))
        };
        texts.iter().fold(command, text)
    }

    fn runs(&self) -> bool {
        self.command.is_none()
    }

    fn levels(&self) -> Vec<String> {
        let mut single: Vec<_> = self.intakes.0.iter().flat_map(|intake| intake.levels()).collect();
        // Errors in the file are reported by the start.
        let rules = self.rules.as_ref().and_then(|file| RulesStore::open(file).ok());
        if let Some(rules) = rules.map(|store| store.rules()) {
            single.extend(rules.levels().map(str::to_owned));
        }
        // These are no lists, so that the advice to separate levels by commas does not apply.
        single.retain(|level| !level.contains(|c: char| c == ';' || c.is_whitespace()));
        let mut levels = self.journal.kept_levels();
        levels.append(&mut single);
        levels.sort_unstable();
        levels.dedup();
        levels
    }

    fn check(&self, findings: &mut Findings) {
        check::check(self, findings);
    }

    /// Runs the broker until TERM, INT or QUIT, or executes the subcommand.
    fn run(self, doubts: Doubts) -> Result<ExitCode, Failure> {
        let done = match &self.command {
            Some(Command::BuckyConfig(command)) => {
                bucky::run(command, &check_configuration::<Self>)
            }
            Some(Command::Cursors(command)) => ask_cursors(&self, command),
            Some(Command::Journal(command)) => journal::run(command, &self.journal),
            Some(Command::Keygen(flags)) => keygen::run(flags),
            Some(Command::Rules(command)) => rules::run(command),
            None => return run(&self, doubts),
        };
        done.map(|()| Exit::Fine.into())
    }
}

fn run(flags: &Flags, doubts: Doubts) -> Result<ExitCode, Failure> {
    let config = flags.config()?;
    let resources = |error| failure(StartError::Resources(error));
    let stop = Stop::on_signals().map_err(resources)?;
    let hangup = Hangup::on_signal().map_err(resources)?;
    let broker = Broker::start(config).map_err(failure)?;
    announce(&broker);
    doubts.log();
    attend(&broker, &stop, &hangup);
    let report = broker.stop(flags.shutdown_timeout);
    let counters = &report.counters;
    tracing::info!(
        event = "stopped",
        lines_received = counters.lines(),
        batches_received = counters.batches(),
        duplicates = counters.duplicates,
        dropped = counters.dropped.total(),
        batches_published = counters.published_batches,
        // Only subscribers that read lines get these: older workers in Python.
        lines_to_line_subscribers = counters.published_lines,
    );
    match report.end {
        End::Clean => Ok(Exit::Fine.into()),
        End::TimedOut => Err(Failure::new(
            Exit::Io,
            "stopping took longer than --shutdown-timeout; subscribers may have missed the last \
             messages",
        )),
        End::IntakeFailed => Err(Failure::new(
            Exit::Io,
            "an intake failed while the broker stopped; the log says what is lost",
        )),
        End::Failed => Err(Failure::new(Exit::Io, "the router failed; the log says why")),
        End::Unwritten => Err(Failure::new(
            Exit::Io,
            "the journal could not be written completely; the log says what is lost",
        )),
    }
}

/// Reports the broker's state to systemd, until it is to stop or has failed.
fn attend(broker: &Broker, stop: &Stop, hangup: &Hangup) {
    let systemd = Systemd::from_env();
    let status = || broker.unready().unwrap_or_else(|| "ready".to_owned());
    systemd.ready(&status());
    while !broker.wait_for(stop, hangup, systemd.beat()) {
        if broker.is_alive() {
            systemd.alive();
        }
        systemd.status(&status());
    }
    systemd.stopping();
}

fn announce(broker: &Broker) {
    let intakes: Vec<_> = broker.intakes().map(|(name, at)| format!("{name}={at}")).collect();
    let http = broker.http_addr().map_or_else(|| "off".to_owned(), |http| http.to_string());
    tracing::info!(
        event = "listening",
        publishers = broker.endpoints(Endpoint::Publishers).join(","),
        subscribers = broker.endpoints(Endpoint::Subscribers).join(","),
        readers = broker.endpoints(Endpoint::Replay).join(","),
        legacy = broker.endpoints(Endpoint::Legacy).join(","),
        intakes = (!intakes.is_empty()).then(|| intakes.join(",")),
        http,
        allowed_keys = broker.counters().keys.map(|keys| keys.allowed),
    );
}

fn ask_cursors(flags: &Flags, command: &CursorsCommand) -> Result<(), Failure> {
    let context = new_context(cursors::SOCKETS)
        .map_err(|shortage| Failure::new(Exit::Unavailable, shortage.to_string()))?;
    let curve = flags.curve_key.as_ref().map(|key| {
        let wrong = |why: String| Failure::new(Exit::Config, format!("--curve-key {why}"));
        let key = key.secret_key().map_err(|error| wrong(error.to_string()))?;
        // The broker's own key is always allowed.
        Ok::<_, Failure>(Curve::new(*key.public_key(), key))
    });
    let (curve, port) = (curve.transpose()?, flags.port);
    let endpoint = &|port| flags.replay_endpoint(port);
    cursors::run(command, &RunningBroker { context, curve, port, endpoint })
}
