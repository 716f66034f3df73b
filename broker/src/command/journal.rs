//! The flags of the journal, and the command `zibrato-broker journal`, which inspects a journal.

use crate::expand::expand_with_tags;
use crate::journal::{
    Content, Inspection, JournalConfig, JournalError, Record, SegmentReport, inspect, level_names,
    levels,
};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use zibrato::daemon::{
    Exit, Failure, Output, number, probe_folder, rfc3339, state_folder, state_variable,
    whole_number,
};
use zibrato::wire::{BatchReader, Entry, Line, Tags, Value};

/// Where and how much is kept.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct JournalFlags {
    /// Folder of the journal [default: $STATE_DIRECTORY/journal, or zibrato-broker/journal in $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "DIR", global = true)]
    journal: Option<PathBuf>,

    /// Keep no journal. Workers lose what is published while they are away. Overrides --journal
    #[arg(long)]
    no_journal: bool,

    /// Levels to measure and keep even if no worker subscribes to them, separated by commas; `*` means all
    #[arg(long, value_name = "LEVELS", value_delimiter = ',')]
    keep_levels: Vec<String>,

    /// Maximum age of batches, in hours. Older ones are deleted, read or not
    #[arg(long, value_name = "HOURS", default_value = "24", value_parser = hours)]
    journal_max_age: Duration,

    /// Maximum size of the journal, in GiB. The oldest batches are deleted first, read or not
    #[arg(long, value_name = "GIB", default_value = "10", value_parser = gibibytes)]
    journal_max_size: u64,

    /// Minimum free space on the disk, in percent. Below it the broker accepts nothing, and publishers wait
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = number("a percentage", 0.0..=90.0))]
    journal_min_free: f64,
}

impl JournalFlags {
    /// The journal to keep, if any.
    pub(crate) fn config(&self) -> Result<Option<JournalConfig>, Failure> {
        if self.no_journal {
            return Ok(None);
        }
        let config = JournalConfig::new(self.directory().map_err(config_failure)?)
            .max_age(self.journal_max_age)
            .max_bytes(self.journal_max_size)
            .min_free_percent(self.journal_min_free);
        if self.keep_levels.is_empty() {
            return Ok(Some(config));
        }
        let kept = levels(self.keep_levels.iter().map(String::as_str)).ok_or_else(|| {
            let text = "--keep-levels: expected levels separated by commas, such as info,warn, or \
                        `*`";
            Failure::new(Exit::Config, text)
        })?;
        Ok(Some(config.keep_levels(kept)))
    }

    /// The levels that are kept, as they were given.
    pub(crate) fn kept_levels(&self) -> Vec<String> {
        self.keep_levels.clone()
    }

    /// Reports an unusable default folder as a configuration error, because then the environment is
    /// wrong. A full disk is no error, because space may become free.
    pub(crate) fn probe(&self, directory: &Path) -> Result<(), Failure> {
        if self.journal.is_some() {
            return Ok(());
        }
        match probe_folder(directory) {
            Err(error) if !is_full(&error) => {
                let error =
                    JournalError::DefaultUnusable { path: directory.into(), problem: error };
                Err(config_failure(error))
            }
            _ => Ok(()),
        }
    }

    /// The absolute path of the journal.
    fn directory(&self) -> Result<PathBuf, JournalError> {
        let directory = match &self.journal {
            Some(directory) => directory.clone(),
            None => state_folder("zibrato-broker", state_variable)?.join("journal"),
        };
        std::path::absolute(&directory).map_err(JournalError::unusable(&directory))
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn config_failure(error: JournalError) -> Failure {
    Failure::new(Exit::Config, error.to_string())
}

/// Inspect the journal, whether or not a broker uses it
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct JournalCommand {
    #[command(subcommand)]
    what: What,
}

const EXAMPLES: &str = "\
Examples:
  zibrato-broker journal info
  zibrato-broker journal verify --journal /var/lib/zibrato/journal
  zibrato-broker journal dump --after 1041 --lines";

/// Help text of the broker's flag for this command.
pub(crate) const FLAGS: [(&str, &str); 1] = [(
    "journal",
    "Folder of the journal [default: that of the broker: $STATE_DIRECTORY/journal, or zibrato-broker/journal in $XDG_STATE_HOME or ~/.local/state]",
)];

#[derive(Debug, Clone, clap::Subcommand)]
enum What {
    /// Summarize the journal: segments, batches, times, damage, cursors
    #[command(after_help = "\
Examples:
  zibrato-broker journal info
  zibrato-broker journal info --journal /var/lib/zibrato/journal")]
    Info,
    /// Print the batches, oldest first: offset, time, level, publisher, sequence, entries
    #[command(after_help = "\
Examples:
  zibrato-broker journal dump
  zibrato-broker journal dump --after 1041 --lines")]
    Dump {
        /// Start after this offset
        #[arg(long, value_name = "OFFSET", default_value_t = 0, value_parser = whole_number::<u64>("a whole number", ..))]
        after: u64,
        /// Print one line per counter or gauge, one per member of a set, and up to 1,000 per timer or histogram. Lines that begin with # name annotations, and count gauges that are repeated without readings. A line is level|type|name|value|time|source, followed by its tags, separated by tab characters
        #[arg(long)]
        lines: bool,
    },
    /// Verify every record. Exits with 74 if any is damaged or missing
    #[command(after_help = "\
Examples:
  zibrato-broker journal verify
  zibrato-broker journal verify --journal /var/lib/zibrato/journal")]
    Verify,
}

/// Executes the command.
pub(crate) fn run(command: &JournalCommand, flags: &JournalFlags) -> Result<(), Failure> {
    let directory = flags.directory().map_err(config_failure)?;
    let mut out = Output::new();
    let nothing = |_: &Record<'_>| Ok(());
    let unavailable = |error: JournalError| match error {
        JournalError::NoJournal(_) => config_failure(error),
        _ => Failure::new(Exit::Io, error.to_string()),
    };
    match command.what {
        What::Info => {
            let found = inspect(&directory, progress, nothing).map_err(unavailable)?;
            // `finish` reports write errors, here and below.
            info(&mut out, &directory, &found).ok();
        }
        What::Dump { after, lines } => {
            let (mut broken, mut is_empty) = (false, true);
            let print = |record: &Record<'_>| {
                if record.offset <= after {
                    return Ok(());
                }
                is_empty = false;
                dump(&mut out, record, lines).inspect_err(|_| broken = true)
            };
            let dumped = inspect(&directory, |_, _| (), print);
            if !broken {
                dumped.map_err(unavailable)?;
            }
            if is_empty {
                let place = if after == 0 {
                    "; it keeps only levels of workers that read the journal, and those in \
                     --keep-levels"
                        .to_owned()
                } else {
                    format!(" after offset {after}")
                };
                let text = format!("the journal in {} has no batches{place}", directory.display());
                // The exit code stays 0 if stderr is closed.
                writeln!(io::stderr(), "{text}").ok();
            }
        }
        What::Verify => {
            let found = inspect(&directory, progress, nothing).map_err(unavailable)?;
            let problems = verify(&mut out, &found);
            if problems > 0 {
                out.finish()?;
                let text = format!(
                    "{problems} places in the journal are damaged or missing; the broker skips \
                     them, and all other batches are intact"
                );
                return Err(Failure::new(Exit::Io, text));
            }
        }
    }
    out.finish()
}

/// A progress line that is overwritten.
fn progress(at: usize, of: usize) {
    if !io::stderr().is_terminal() || of < 2 {
        return;
    }
    let end = if at == of { "\r\x1b[K" } else { "" };
    // A progress line that cannot be written does not matter.
    write!(io::stderr(), "\rreading segment {at} of {of}{end}").ok();
}

fn info(out: &mut impl Write, directory: &Path, found: &Inspection) -> io::Result<()> {
    writeln!(out, "journal   {}", directory.display())?;
    let sum = |of: fn(&SegmentReport) -> u64| found.segments.iter().map(of).sum::<u64>();
    let id = found.id.map_or_else(|| "unknown".to_owned(), |id| format!("{id:016x}"));
    writeln!(out, "number    {id}{}", if found.in_use { ", in use by a broker" } else { "" })?;
    writeln!(out, "batches   {}", sum(|s| s.batches))?;
    writeln!(out, "bytes     {}", sum(|s| s.bytes))?;
    let mut offsets = found.segments.iter().filter_map(|segment| segment.offsets);
    if let Some((first, last)) = offsets.next() {
        let last = offsets.next_back().map_or(last, |(_, last)| last);
        writeln!(out, "offsets   {first} to {last}")?;
    }
    let mut times = found.segments.iter().filter_map(|segment| segment.times_ms);
    if let Some((first, last)) = times.next() {
        let last = times.next_back().map_or(last, |(_, last)| last);
        writeln!(out, "received  {} to {}", rfc3339(first), rfc3339(last))?;
    }
    writeln!(out, "damaged   {} places", sum(|s| s.damage.len() as u64))?;
    writeln!(out, "missing   {} batches", sum(|s| s.missing))?;
    writeln!(out, "segments  {}", found.segments.len())?;
    for segment in &found.segments {
        let SegmentReport { file, bytes, batches, .. } = segment;
        let noun = if *batches == 1 { "batch" } else { "batches" };
        writeln!(out, "  {file}  {batches} {noun}, {bytes} bytes")?;
    }
    writeln!(out, "cursors   {}", found.cursors.iter().count())?;
    for (name, cursor) in found.cursors.iter() {
        let levels: Vec<_> = level_names(&cursor.levels).collect();
        writeln!(out, "  {name}  offset {}, levels {}", cursor.offset, levels.join(","))?;
    }
    Ok(())
}

fn verify(out: &mut impl Write, found: &Inspection) -> usize {
    let mut problems = 0;
    let mut say = |text: String| {
        problems += 1;
        writeln!(out, "{text}").ok();
    };
    let last = found.segments.len().saturating_sub(1);
    for (at, segment) in found.segments.iter().enumerate() {
        if !segment.has_records && segment.bytes > 0 {
            let text = "it has no intact record: it is not a segment, or it is damaged completely";
            say(format!("{}: {text}", segment.file));
            continue;
        }
        if segment.doubled > 0 {
            let text = "several batches have the same offset: two brokers wrote at the same time";
            say(format!("{}: {} {text}", segment.file, segment.doubled));
        }
        for (from, to) in &segment.damage {
            if at == last && *to == segment.bytes && found.in_use {
                // A record that the broker is writing is not complete yet.
                continue;
            }
            say(format!("{}: bytes {from} to {to} are not a record", segment.file));
        }
        if segment.missing > 0 {
            say(format!("{}: {} batches are missing", segment.file, segment.missing));
        }
    }
    if found.cursors.damaged() > 0 {
        say(format!("cursors: {} lines are damaged", found.cursors.damaged()));
    }
    let batches: u64 = found.segments.iter().map(|segment| segment.batches).sum();
    writeln!(out, "{batches} batches in {} segments are intact", found.segments.len()).ok();
    problems
}

fn dump(out: &mut impl Write, record: &Record<'_>, lines: bool) -> io::Result<()> {
    let Content::Batch { id, level, body } = record.content else { return Ok(()) };
    if lines {
        let mut written = Ok(());
        let expanded = expand_with_tags(level, body, |line, tags| {
            if written.is_ok() {
                written = write_line(out, line, tags);
            }
        });
        written?;
        write_annotations(out, record.offset, body)?;
        let repeated = repeated_gauges(body);
        if repeated > 0 {
            writeln!(out, "# {}: {repeated} gauges repeated without readings", record.offset)?;
        }
        return expanded.map(drop).or_else(|error| writeln!(out, "# {}: {error}", record.offset));
    }
    let entries = BatchReader::new(body).map_or(0, |batch| batch.entries().count());
    let (offset, publisher, sequence) = (record.offset, id.publisher, id.sequence);
    let received = rfc3339(record.received_ms);
    writeln!(out, "{offset}\t{received}\t{level}\t{publisher}\t{sequence}\t{entries}")
}

/// Writes the annotations, which have no line.
fn write_annotations(out: &mut impl Write, offset: u64, body: &[u8]) -> io::Result<()> {
    let Ok(batch) = BatchReader::new(body) else { return Ok(()) };
    for entry in batch.entries().filter_map(Result::ok) {
        if let Value::Annotation(annotation) = entry.value {
            let (stream, title) = (annotation.stream(), annotation.title());
            writeln!(out, "# {offset}: annotation of {stream}: {title}")?;
        }
    }
    Ok(())
}

/// Number of gauges that had no readings, and were only repeated.
fn repeated_gauges(body: &[u8]) -> usize {
    let is_idle =
        |entry: &Entry<'_>| matches!(&entry.value, Value::Gauge(gauge) if gauge.is_idle());
    BatchReader::new(body)
        .map_or(0, |batch| batch.entries().filter_map(Result::ok).filter(is_idle).count())
}

/// A line as publishers send it, followed by its tags, separated by tab characters, because lines
/// cannot contain tags.
fn write_line(out: &mut impl Write, line: &Line<'_>, tags: &Tags<'_>) -> io::Result<()> {
    write!(out, "{line}")?;
    for (tag, value) in tags.clone() {
        write!(out, "\t{tag}={value}")?;
    }
    writeln!(out)
}

fn hours(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().map(|hours| hours * 3_600.0);
    let age = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let some = age.filter(|age| !age.is_zero() && *age <= Duration::from_secs(3_600 * 24 * 3_650));
    some.ok_or_else(|| {
        "expected a number of hours, above 0 and at most 87600, such as 24 or 0.5".into()
    })
}

fn gibibytes(text: &str) -> Result<u64, String> {
    let bytes = text.parse::<f64>().ok().map(|gib| gib * f64::from(1 << 30));
    let some = bytes.filter(|bytes| bytes.is_finite() && *bytes >= 1.0 && *bytes < 1e18);
    some.map(|bytes| bytes as u64)
        .ok_or_else(|| "expected a number of GiB above 0, such as 10 or 0.5".into())
}

#[cfg(test)]
mod tests {
    use super::{gibibytes, hours};

    #[test]
    fn numbers_that_cannot_be_are_refused() {
        for text in ["0", "-1", "nan", "inf", "x", "1e300"] {
            assert!(hours(text).is_err() && gibibytes(text).is_err(), "{text}");
        }
        assert_eq!(gibibytes("0.5"), Ok(1 << 29));
    }
}
