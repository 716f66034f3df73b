//! `zibrato-tail`: prints each entry of a broker's live stream as it arrives.

mod names;
mod print;
mod tables;

use crate::curve::CurveFlags;
use crate::feed::{Broker, Event, Feed, LiveFeed, Wait, check_broker};
use crate::levels::Levels;
use names::{Names, OWN};
use print::{Format, Printer};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tables::Tables;
use zibrato::clock::unix_ms;
use zibrato::daemon::{
    CommonFlags, Doubts, Exit, Failure, Findings, Program, Stop, seconds, stdout_failure,
    whole_number,
};
use zibrato::resources::Resources;

/// The program.
const PROGRAM: &str = "zibrato-tail";

/// Number of bytes that are formatted before they are written.
const CHUNK_BYTES: usize = 64 << 10;

/// Number of bytes that a ready pipe accepts without blocking.
const PIPE_BYTES: usize = 4096;

/// Maximum time between two checks of the stop token.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Runs `zibrato-tail` from flags to exit code, until TERM, INT, QUIT or HUP, or until its output
/// is closed.
#[must_use]
pub fn main() -> ExitCode {
    zibrato::daemon::main::<TailFlags>()
}

impl Program for TailFlags {
    fn common(&self) -> &CommonFlags {
        &self.common
    }

    fn levels(&self) -> Vec<String> {
        self.levels.names()
    }

    fn check(&self, findings: &mut Findings) {
        if let Some(broker) = findings.take(self.broker()) {
            check_broker(&broker, findings);
        }
        findings.take(probe());
    }

    fn run(self, doubts: Doubts) -> Result<ExitCode, Failure> {
        run(&self, doubts).map(|()| Exit::Fine.into())
    }
}

/// Prints the measurements that a broker publishes, as they arrive
#[derive(Debug, clap::Parser)]
#[command(name = PROGRAM, version, after_help = "\
Examples:
  zibrato-tail --levels info,warn
  zibrato-tail --table --flush 10
  zibrato-tail --name db. --json | jq -c 'select(.kind == \"timer\")'

Times are in UTC. They are the times at which the broker received each entry.
Counts and durations cover the publisher's interval, which is one second by default.
Names that begin with `zibrato.`, which Zibrato measures about itself, are only printed if --name
begins with `zibrato.` or --levels has `zibrato`.
A gauge has its last reading, and count, min and max if it was set more than once. Gauges that nobody
set are not printed. An annotation has its title, how long the event took, and its links.")]
struct TailFlags {
    /// Host of the broker, or the folder of its Unix sockets, such as ipc:///run/zibrato
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    host: String,

    /// Port for subscribers of the broker: its --port + 1
    #[arg(long, value_name = "PORT", default_value_t = 5551, value_parser = whole_number::<u16>("a port", 1..=65_535))]
    port: u16,

    #[command(flatten)]
    curve: CurveFlags,

    /// Levels to print, separated by commas; `*` means all
    #[arg(long, value_name = "LEVELS", default_value_t = Levels::all())]
    levels: Levels,

    /// Print only measurements whose name starts with this text
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    name: String,

    /// Print one JSON object per line
    #[arg(long, conflicts_with = "table")]
    json: bool,

    /// Print a table of all series at the end of each window, with rates, percentiles and the last windows
    #[arg(long)]
    table: bool,

    /// Length of a window of --table, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", requires = "table", value_parser = seconds(0.1..=86_400.0))]
    flush: Duration,

    #[command(flatten)]
    common: CommonFlags,
}

/// The resources it needs: a subscription, and threads for it and for the log.
const NEEDS: Resources = Resources {
    descriptors: 12,
    threads: 4,
    memory: 96 << 20,
    address_space: Resources::address_space_of(4, 96 << 20),
};

impl TailFlags {
    fn names(&self) -> Names {
        let levels = self.levels.names();
        let own = self.name.starts_with(OWN) || levels.iter().any(|level| level == "zibrato");
        Names { prefix: self.name.clone(), own }
    }

    fn broker(&self) -> Result<Broker, Failure> {
        let broker = Broker { curve: self.curve.read()?, ..Broker::new(&*self.host, self.port) };
        if broker.endpoint().is_some() {
            return Ok(broker);
        }
        let message = format!(
            "--host: `{}` is not a host; give a name, an address or ipc:///folder",
            self.host
        );
        Err(Failure::new(Exit::Config, message))
    }
}

/// Checks whether the system has these resources.
fn probe() -> Result<(), Failure> {
    NEEDS.probe().map_err(|why| Failure::new(Exit::Unavailable, why.to_string()))
}

fn run(flags: &TailFlags, doubts: Doubts) -> Result<(), Failure> {
    let stop = Stop::on_signals()
        .and_then(Stop::on_hangup)
        .map_err(|why| Failure::new(Exit::Unavailable, format!("signals: {why}")))?;
    let broker = flags.broker()?;
    probe()?;
    let mut feed = LiveFeed::connect(broker, &flags.levels)
        .map_err(|why| Failure::new(Exit::Unavailable, format!("cannot subscribe: {why}")))?;
    doubts.log();
    let names = flags.names();
    let mut output = if flags.table {
        Output::Tables(Box::new(Tables::new(flags.flush, names)))
    } else {
        let format = if flags.json { Format::Json } else { Format::Human };
        Output::Lines(Printer::new(format, names))
    };
    while !stop.raised() {
        let (mut text, mut until) = (Vec::new(), Instant::now() + output.longest_wait(unix_ms()));
        while let Event::Batch { frames, .. } =
            feed.next(&Wait::new(until, [Some(stop.as_fd()), None]))
        {
            output.take(&frames, unix_ms(), &mut text);
            if text.len() >= CHUNK_BYTES {
                break;
            }
            until = Instant::now();
        }
        output.end_windows(unix_ms(), &mut text);
        if let Err(why) = write(&text, &stop) {
            return stdout_failure(why);
        }
    }
    Ok(())
}

/// What is printed.
enum Output {
    /// Each entry, as it arrives.
    Lines(Printer),
    /// A table for each window.
    Tables(Box<Tables>),
}

impl Output {
    fn take(&mut self, frames: &[&[u8]], now_ms: u64, text: &mut Vec<u8>) {
        match self {
            Self::Lines(printer) => printer.print(frames, now_ms, text),
            Self::Tables(tables) => tables.take(frames, now_ms),
        }
    }

    fn end_windows(&mut self, now_ms: u64, text: &mut Vec<u8>) {
        match self {
            Self::Lines(_) => {}
            Self::Tables(tables) => tables.print(now_ms, text),
        }
    }

    /// Maximum time until something may have to be printed without a message.
    fn longest_wait(&self, now_ms: u64) -> Duration {
        match self {
            Self::Lines(_) => LONGEST_WAIT,
            Self::Tables(tables) => tables.next(now_ms).min(LONGEST_WAIT),
        }
    }
}

/// Writes to stdout. A stalled reader does not prevent a stop.
fn write(mut bytes: &[u8], stop: &Stop) -> io::Result<()> {
    let (stdout, forever) = (io::stdout(), Timespec::try_from(LONGEST_WAIT).unwrap_or_default());
    while !bytes.is_empty() {
        let mut ready = [PollFd::new(&stdout, PollFlags::OUT), PollFd::new(stop, PollFlags::IN)];
        match poll(&mut ready, Some(&forever)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => (),
            Err(why) => return Err(why.into()),
        }
        if ready[0].revents().is_empty() {
            // Only the stop token is ready, and it stays ready.
            return Ok(());
        }
        let now = bytes.get(..PIPE_BYTES).unwrap_or(bytes);
        match rustix::io::write(&stdout, now) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => (),
            Err(why) => return Err(why.into()),
        }
    }
    Ok(())
}
