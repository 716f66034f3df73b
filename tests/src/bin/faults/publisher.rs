//! A publisher: it counts until it is stopped, and records its progress in a file.

use super::tally::{SERIES, THREADS, Tally};
use anyhow::Context;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zibrato::{Zibrato, count};

/// Interval between two readings of the same series in a thread.
const PACE: Duration = Duration::from_millis(3);

/// Interval in which the statistics of the instrument are recorded.
const LOOK: Duration = Duration::from_millis(10);

/// Maximum time of the last flush. All faults are repaired before that.
const FLUSH: Duration = Duration::from_secs(90);

/// The flags of a publisher.
#[derive(Debug, clap::Args)]
pub(crate) struct Publish {
    #[arg(long)]
    port: u16,
    #[arg(long)]
    control_port: u16,
    #[arg(long)]
    source: String,
    /// File for the progress
    #[arg(long)]
    tally: PathBuf,
}

/// Counts until TERM.
pub(crate) fn run(flags: Publish) -> anyhow::Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&stop))?;
    let tally = Tally::create(&flags.tally).with_context(|| flags.tally.display().to_string())?;
    let guard = Zibrato::builder()
        .port(flags.port)
        .control_port(flags.control_port)
        .source(flags.source)
        .flush_deadline(FLUSH)
        .install()?;
    let counted: io::Result<()> = std::thread::scope(|scope| {
        let threads = (0..THREADS).map(|thread| {
            let (tally, stop) = (&tally, &stop);
            scope.spawn(move || count_until(tally, thread, stop))
        });
        let threads: Vec<_> = threads.collect();
        while !threads.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            let stats = guard.handle().stats();
            tally.tell(stats.recorded, stats.delivered)?;
            std::thread::park_timeout(LOOK);
        }
        let mut ends = threads.into_iter().map(|thread| thread.join());
        ends.try_for_each(|end| end.unwrap_or_else(|_| Err(io::Error::other("panicked"))))
    });
    counted?;
    let stats = guard.shutdown();
    tally.tell(stats.recorded, stats.delivered)?;
    // The last values are certain; no further flush is needed.
    anyhow::ensure!(stats.delivered == stats.recorded && stats.balances(), "{stats:?}");
    Ok(ExitCode::SUCCESS)
}

fn count_until(tally: &Tally, thread: usize, stop: &AtomicBool) -> io::Result<()> {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        for series in 0..SERIES.len() {
            tally.begin(thread, series, number)?;
            match series {
                0 => count!("info", "faults.orders"),
                1 => count!("info", "faults.logins"),
                _ => count!("warn", "faults.failures"),
            }
            tally.done(thread, series, number)?;
        }
        std::thread::park_timeout(PACE);
    }
    Ok(())
}
