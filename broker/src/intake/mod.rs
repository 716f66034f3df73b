//! Intakes: the ways into the broker.
//!
//! There are two kinds. The ZeroMQ intakes are the rows of [`SOCKETS`]; the router polls their
//! sockets. Every other intake implements [`Intake`] and runs in its own thread.
//!
//! # How to add an intake
//!
//! 1. Write a file in this folder with a type that implements [`Intake`]. [`open`](Intake::open) binds
//!    what it listens on. The closure that it returns runs in the thread: it
//!    [waits](IntakeContext::wait), reads, parses, and [folds](IntakeContext::fold) or
//!    [rejects](IntakeContext::reject). If anyone who reaches an address may send, name it in
//!    [`unprotected`](Intake::unprotected).
//! 2. Write its flags: a struct that derives `clap::Args` and implements [`IntakeFlags`]. Add it to
//!    [`INTAKES`](table::INTAKES): `Row::of::<Flags>()`. An intake outside this crate needs no row:
//!    give it to [`Config::intake`](crate::Config::intake).
//!
//! Everything else follows from the row and the name: the variables of the flags, their keys in the
//! configuration file and their lines in `docs/flags.md`; counters on `/metrics` and in the
//! self-metrics; the address in the line `event=listening`; a thread `zb-NAME`, and its end.
//!
//! ```text
//! packets ─▶ zb-NAME: parse, fold for a second ─inproc PUSH─▶ zb-router ─▶ journal, subscribers
//!                ▲                                               │
//!                └──────────────── acknowledgements ─────────────┘
//! ```
//!
//! The thread publishes batches like any publisher, with its own id and sequences, and at most
//! those of one interval at a time. Until the router has acknowledged them, which it does when they
//! are on disk, the thread continues to aggregate. So memory is bounded by the number of series;
//! further measurements are rejected and counted.

mod check;
mod clocks;
pub(crate) mod collectd;
mod context;
mod counted;
mod file_warning;
mod flag_error;
mod host_port;
mod level;
pub(crate) mod librato;
mod link;
pub(crate) mod metricsd;
#[cfg(feature = "fuzzing")]
mod recorded;
mod rejections;
mod ruled;
pub(crate) mod rules;
pub(crate) mod statsd;
pub(crate) mod table;
mod thread;
mod udp;
mod unprotected;
mod user_lines;
mod watched;

pub use context::IntakeContext;
pub(crate) use flag_error::FlagErrors;
pub(crate) use level::intake_level;
pub(crate) use link::Link;
pub(crate) use thread::{IntakeThreads, IntakesEnd, RouterSide, open};
pub use unprotected::Unprotected;

use crate::sockets::{SUBSCRIBERS, SocketSpec};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use zibrato::wire::Endpoint;

/// The ZeroMQ intakes.
pub(crate) const SOCKETS: [SocketSpec; 2] = [
    SocketSpec {
        name: "zmq",
        endpoint: Endpoint::Publishers,
        kind: zmq::PULL,
        max_bytes: None,
        set_options: |_| Ok(()),
    },
    // Publishers of Python Zibrato 0.2 are PUB sockets.
    SocketSpec {
        name: "legacy",
        endpoint: Endpoint::Legacy,
        kind: zmq::SUB,
        max_bytes: None,
        set_options: |socket| socket.set_subscribe(b""),
    },
];

pub(crate) type SharedIntake = Arc<dyn Intake>;

/// Checks that no flag of an intake is given if the intake is off. Its first flag turns it on.
fn check_unused<F: clap::Args>(matches: &ArgMatches) -> Result<(), String> {
    let command = F::augment_args(Command::new("intake"));
    let is_given = |arg: &&Arg| {
        !matches!(
            matches.value_source(arg.get_id().as_str()),
            None | Some(ValueSource::DefaultValue)
        )
    };
    let mut flags = command.get_arguments();
    let (first, given) = (flags.next(), flags.find(is_given));
    match (first.and_then(Arg::get_long), given.and_then(Arg::get_long)) {
        (Some(first), Some(given)) => Err(format!("--{given} needs --{first}")),
        _ => Ok(()),
    }
}

/// The flags of one intake, as `zibrato-broker` has them.
#[derive(Debug)]
pub(crate) struct Row {
    /// Adds the flags to the command.
    pub(crate) augment: fn(Command) -> Command,
    /// Makes the intake that the flags turn on, if they do.
    pub(crate) intake: fn(&ArgMatches) -> Result<Option<SharedIntake>, clap::Error>,
}

impl Row {
    /// The row of an intake with these flags.
    pub(crate) const fn of<F: IntakeFlags>() -> Self {
        Self {
            augment: F::augment_args,
            intake: |matches| {
                let flags = F::from_arg_matches(matches)?;
                let invalid =
                    |why: String| clap::Error::raw(ErrorKind::ValueValidation, why + "\n");
                let intake = flags.intake().map_err(invalid)?;
                match intake {
                    // A subcommand may use a flag of an intake that is off.
                    None if matches.subcommand_name().is_none() => {
                        check_unused::<F>(matches).map_err(invalid).map(|()| None)
                    }
                    on => Ok(on),
                }
            },
        }
    }
}

/// The flags of an intake. Types of different intakes need different names, because clap uses them.
pub(crate) trait IntakeFlags: clap::Args {
    /// The intake that they describe. `None` if they do not turn it on.
    ///
    /// # Errors
    /// A message that names the invalid flag, and says how to correct it.
    fn intake(&self) -> Result<Option<SharedIntake>, String>;
}

/// Any error of an intake.
pub type IntakeError = Box<dyn Error + Send + Sync>;

/// An intake that runs in its own thread.
///
/// ```
/// use std::net::UdpSocket;
/// use std::os::fd::AsFd;
/// use zibrato_broker::{Broker, Config, Intake, IntakeError, OpenIntake};
/// use zibrato::wire::Line;
///
/// /// Takes one line of Zibrato's own format from each UDP packet.
/// #[derive(Debug)]
/// struct Lines;
///
/// impl Intake for Lines {
///     fn name(&self) -> &'static str {
///         "udp_lines"
///     }
///
///     fn open(&self) -> Result<OpenIntake, IntakeError> {
///         let socket = UdpSocket::bind("127.0.0.1:0")?;
///         socket.set_nonblocking(true)?;
///         Ok(OpenIntake::new(socket.local_addr()?, move |context| {
///             let mut packet = [0; 65_536];
///             while context.wait(&[socket.as_fd()]) {
///                 let Ok(length) = socket.recv(&mut packet) else { continue };
///                 context.received(length);
///                 match Line::decode(&packet[..length]) {
///                     Ok(line) => context.fold(&line),
///                     Err(error) => context.reject(error.reason(), &packet[..length]),
///                 }
///             }
///             Ok(())
///         }))
///     }
/// }
///
/// let broker = Broker::start(Config::new().port(0).intake(Lines))?;
/// assert!(broker.intake_address("udp_lines").is_some());
/// # Ok::<(), zibrato_broker::StartError>(())
/// ```
pub trait Intake: fmt::Debug + Send + Sync + 'static {
    /// Its unique name in metrics and log lines: 1 to 12 lowercase letters, digits and `_`.
    fn name(&self) -> &'static str;

    /// Binds the addresses on which it listens. The broker starts only if that succeeds.
    ///
    /// # Errors
    /// The error that prevents it from listening. The text should say what to change.
    fn open(&self) -> Result<OpenIntake, IntakeError>;

    /// The levels that its settings name, which are compared with common ones: `INFO` is probably a
    /// mistake. With the level `zibrato`, which is reserved, the broker does not start. Defaults to
    /// none.
    fn levels(&self) -> Vec<String> {
        Vec::new()
    }

    /// The addresses at which anyone who reaches them can send. If other machines can reach one of
    /// them, the broker starts only with [`Config::insecure`](crate::Config::insecure). Defaults to
    /// none.
    fn unprotected(&self) -> Vec<Unprotected> {
        Vec::new()
    }

    /// Faults in the files that its settings name, with which it can start nevertheless. `--check`
    /// shows them. Defaults to none.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Approximate memory of as many series as it keeps at most, in bytes. `--check` warns if the
    /// machine has less. Defaults to 0.
    fn max_bytes(&self) -> u64 {
        0
    }
}

/// An intake that listens, and is ready to run.
#[must_use]
pub struct OpenIntake {
    address: String,
    run: Box<Run>,
}

/// The function that an intake's thread runs.
type Run = dyn FnOnce(&mut IntakeContext) -> Result<(), IntakeError> + Send;

impl OpenIntake {
    /// An intake that listens at `address`. `run` is called once, in a separate thread, and should
    /// return when [`IntakeContext::wait`] returns `false`. If it returns earlier, fails or panics,
    /// that is logged and counted, and the broker continues without the intake.
    pub fn new(
        address: impl fmt::Display,
        run: impl FnOnce(&mut IntakeContext) -> Result<(), IntakeError> + Send + 'static,
    ) -> Self {
        Self { address: address.to_string(), run: Box::new(run) }
    }
}

impl fmt::Debug for OpenIntake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenIntake").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Checks the names of intakes.
fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), (&'a str, IntakeError)> {
    let mut known: Vec<_> = SOCKETS.iter().map(|spec| spec.name).collect();
    known.push(SUBSCRIBERS.name);
    for name in names {
        let is_word = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        if !(1..=12).contains(&name.len()) || !name.bytes().all(is_word) {
            let why = "its name must be 1 to 12 lowercase letters, digits and underscores";
            return Err((name, why.into()));
        }
        if known.contains(&name) {
            return Err((name, "another intake has this name".into()));
        }
        known.push(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_names;

    #[test]
    fn names_are_short_words_and_differ() {
        for bad in ["", "zmq", "publish", "UDP", "a.b", "thirteen_long"] {
            let error = check_names([bad].into_iter()).unwrap_err();
            assert_eq!(error.0, bad);
        }
        assert!(check_names(["udp", "tcp_2"].into_iter()).is_ok());
        assert!(check_names(["udp", "udp"].into_iter()).is_err());
    }
}
