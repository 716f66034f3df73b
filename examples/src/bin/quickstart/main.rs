//! The whole path in one program: instrumented work, broker, and a worker that draws tables.
//!
//! ```text
//! work.rs ── #[time_me], count, gauge! ──▶ broker ──▶ worker ──▶ console.rs, and Carbon if asked
//! ```

mod console;
mod work;

use clap::Parser;
use console::{Console, Output, Totals};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use work::{Done, Tally, Times};
use zibrato::Zibrato;
use zibrato::daemon::{
    CommonFlags, Doubts, Exit, Failure, Program, Stop, print, seconds, whole_number,
};
use zibrato_broker::{Broker, Config};
use zibrato_workers::carbon::{Address, Carbon};
use zibrato_workers::{Levels, Worker};

const PROGRAM: &str = "quickstart";

/// Maximum time for each part to deliver what it holds at the end.
const TIMEOUT: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  quickstart                              read the files of this folder
  quickstart src docs --repeat            read these again and again, until Ctrl-C
  quickstart --json                       print only the totals, as one JSON object
  quickstart --carbon 127.0.0.1:2003      deliver to Carbon as well

Folders named .git and target are skipped. The totals are those that the worker received. They are
compared with what the threads really did; the program exits with 1 if they differ.";

/// Counts lines in files with instrumented functions, and shows the measurements that arrive
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, after_help = EXAMPLES)]
struct Flags {
    /// Files and folders to read
    #[arg(value_name = "FILES", default_value = ".")]
    paths: Vec<PathBuf>,

    /// Read the files again and again, until Ctrl-C
    #[arg(long)]
    repeat: bool,

    /// Print the totals as one JSON object instead of tables
    #[arg(long)]
    json: bool,

    /// Address of a Carbon line receiver to deliver to as well
    #[arg(long, value_name = "HOST:PORT")]
    carbon: Option<Address>,

    /// Interval between tables, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds(0.1..=3_600.0))]
    flush: Duration,

    /// Number of threads that read
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = whole_number::<u16>("a whole number of threads", 1..=256))]
    threads: u16,

    #[command(flatten)]
    common: CommonFlags,
}

fn main() -> ExitCode {
    zibrato::daemon::main::<Flags>()
}

impl Program for Flags {
    fn common(&self) -> &CommonFlags {
        &self.common
    }

    fn run(self, _: Doubts) -> Result<ExitCode, Failure> {
        run(&self)
    }
}

fn run(flags: &Flags) -> Result<ExitCode, Failure> {
    for path in &flags.paths {
        let wrong = |why| Failure::new(Exit::Io, format!("{}: {why}", path.display()));
        let kind = path.metadata().map_err(|why| wrong(format!("{why}; name files that exist")))?;
        if !kind.is_file() && !kind.is_dir() {
            return Err(wrong("is neither a file nor a folder".to_owned()));
        }
    }
    let stop = Stop::on_signals().map_err(|e| unavailable("signals", &e))?;

    // 1. The broker. Port 0 picks free ports, so that it can run beside another one.
    let broker = Broker::start(Config::new().port(0)).map_err(|e| unavailable("broker", &e))?;
    // 2. The workers: one that draws, and one for Carbon if requested.
    let output = if flags.json { Output::Nowhere } else { Output::Stdout };
    let console = Console::new(output);
    let levels: Levels = "info,warn".parse().map_err(|e| unavailable("levels", &e))?;
    let worker =
        || Worker::builder().port(broker.publish_port()).levels(levels.clone()).flush(flags.flush);
    let drawing = worker().start(console.clone()).map_err(|e| unavailable("worker", &e))?;
    let delivering = match &flags.carbon {
        Some(address) => {
            let carbon = Carbon::to(address.clone()).prefix("zibrato");
            Some(worker().start(carbon).map_err(|e| unavailable("worker", &e))?)
        }
        None => None,
    };
    // A subscriber receives only what is published afterwards, so the workers must start first.
    for worker in delivering.iter().chain([&drawing]) {
        let deadline = Instant::now() + TIMEOUT;
        while !worker.counters().broker_connected && Instant::now() < deadline {
            if stop.wait(Duration::from_millis(2)) {
                break;
            }
        }
    }
    // 3. The instrument: from now on, attributes and macros measure.
    let zibrato = Zibrato::builder()
        .port(broker.port())
        .source(PROGRAM)
        .interval(Duration::from_millis(100))
        .flush_deadline(TIMEOUT)
        .install()
        .map_err(|e| unavailable("instrument", &e))?;

    // 4. The work.
    let begun = Instant::now();
    let times = if flags.repeat { Times::UntilStopped } else { Times::Once };
    let threads = usize::from(flags.threads);
    let done = work::read_all(&flags.paths, threads, times, &stop, &zibrato.handle());
    let seconds = begun.elapsed().as_secs_f64();

    // 5. The end, in the direction of the data: each part delivers what it holds.
    let stats = zibrato.shutdown();
    let broker_end = broker.stop(TIMEOUT).end;
    drawing.stop(TIMEOUT);
    let undelivered = delivering.map_or(0, |carbon| carbon.stop(TIMEOUT).series_lost);

    let arrived = arrived(&console.totals());
    let same = arrived == done.by_extension && stats.delivered == stats.recorded;
    tracing::debug!(event = "ended", ?stats, ?broker_end);
    if flags.json {
        print(&format!("{}\n", json(&done, &console.totals(), seconds, same)))?;
    } else {
        // A single window already shows the totals.
        if console.totals().windows > 1 {
            print(&format!("{}\n", console.totals().table(seconds).trim_end()))?;
        }
        print(&format!("{}\n", last_line(&done, same)))?;
    }
    if undelivered > 0 {
        let why = format!("{undelivered} series could not be delivered to Carbon; is it running?");
        return Err(Failure::new(Exit::Unavailable, why));
    }
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn unavailable(part: &str, error: &dyn std::error::Error) -> Failure {
    let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    Failure::new(Exit::Unavailable, format!("{part}: {error}{cause}"))
}

/// The totals that the worker received, by extension.
fn arrived(totals: &Totals) -> BTreeMap<String, Tally> {
    let mut by_extension: BTreeMap<String, Tally> = BTreeMap::new();
    for (name, sum) in totals.counters() {
        let Some((what, extension)) = name.split_once('.') else { continue };
        let of = |files, lines, bytes| Tally { files, lines, bytes };
        let tally = match what {
            "files" => of(sum as u64, 0, 0),
            "lines" => of(0, sum as u64, 0),
            "bytes" => of(0, 0, sum as u64),
            _ => continue,
        };
        *by_extension.entry(extension.to_owned()).or_default() += tally;
    }
    by_extension
}

fn sum(by_extension: &BTreeMap<String, Tally>) -> Tally {
    let mut all = Tally::default();
    by_extension.values().for_each(|tally| all += *tally);
    all
}

fn json(done: &Done, totals: &Totals, seconds: f64, same: bool) -> Value {
    let tally =
        |tally: &Tally| json!({ "files": tally.files, "lines": tally.lines, "bytes": tally.bytes });
    let arrived = arrived(totals);
    let by_extension: serde_json::Map<_, _> =
        arrived.iter().map(|(extension, t)| (extension.clone(), tally(t))).collect();
    let reads = totals.timer("quickstart.read").map(|reads| {
        json!({
            "count": reads.count(), "mean": reads.mean(), "p50": reads.quantile(0.5),
            "p99": reads.quantile(0.99), "max": reads.max(), "unit": "seconds",
        })
    });
    let all = sum(&arrived);
    json!({
        "files": all.files, "lines": all.lines, "bytes": all.bytes,
        "unreadable": done.unreadable, "seconds": seconds, "reads": reads,
        "by_extension": by_extension, "matches_the_work": same,
    })
}

fn last_line(done: &Done, same: bool) -> String {
    let all = sum(&done.by_extension);
    let verdict = if same {
        "the measurements that arrived add up to exactly that"
    } else {
        "THE MEASUREMENTS THAT ARRIVED DO NOT ADD UP TO THAT"
    };
    format!(
        "\nread {} files, {} lines, {} bytes ({} unreadable); {verdict}",
        all.files, all.lines, all.bytes, done.unreadable
    )
}
