//! The progress of a publisher: for each reading, it writes before and after recording it. The file
//! survives when the publisher is killed.
//!
//! ```text
//! for each thread and series: begun (u64 BE), done (u64 BE)
//! then the statistics of the instrument: recorded, delivered (u64 BE each)
//! ```

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The series that are counted, with their levels.
pub(crate) const SERIES: [(&str, &str); 3] =
    [("info", "faults.orders"), ("info", "faults.logins"), ("warn", "faults.failures")];

/// Number of threads that count.
pub(crate) const THREADS: usize = 2;

const SLOT: u64 = 16;
const STATS: u64 = (THREADS * SERIES.len()) as u64 * SLOT;

/// The file, for the publisher.
#[derive(Debug)]
pub(crate) struct Tally(File);

/// The contents of the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Readings of each series whose recording has begun.
    pub(crate) begun: [u64; SERIES.len()],
    /// Readings whose recording has ended.
    pub(crate) done: [u64; SERIES.len()],
    /// Readings that the broker has, according to the instrument.
    pub(crate) delivered: u64,
}

impl Tally {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        file.set_len(STATS + SLOT)?;
        Ok(Self(file))
    }

    /// A thread begins its `number`th reading of a series.
    pub(crate) fn begin(&self, thread: usize, series: usize, number: u64) -> io::Result<()> {
        self.0.write_all_at(&number.to_be_bytes(), slot(thread, series))
    }

    /// The recording of that reading has ended.
    pub(crate) fn done(&self, thread: usize, series: usize, number: u64) -> io::Result<()> {
        self.0.write_all_at(&number.to_be_bytes(), slot(thread, series) + 8)
    }

    /// Writes the statistics of the instrument.
    pub(crate) fn tell(&self, recorded: u64, delivered: u64) -> io::Result<()> {
        let both = [recorded.to_be_bytes(), delivered.to_be_bytes()].concat();
        self.0.write_all_at(&both, STATS)
    }
}

impl Count {
    /// Reads the file of a publisher, which may be writing; zeros if it has not begun.
    pub(crate) fn read(path: &Path) -> Self {
        let Ok(bytes) = std::fs::read(path) else { return Self::default() };
        let number = |at: u64| {
            let bytes = bytes.get(at as usize..at as usize + 8).unwrap_or(&[0; 8]);
            bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let mut count = Self { delivered: number(STATS + 8), ..Self::default() };
        for series in 0..SERIES.len() {
            for thread in 0..THREADS {
                count.begun[series] += number(slot(thread, series));
                count.done[series] += number(slot(thread, series) + 8);
            }
        }
        count
    }

    /// Number of readings whose recording has ended.
    pub(crate) fn total(&self) -> u64 {
        self.done.iter().sum()
    }
}

const fn slot(thread: usize, series: usize) -> u64 {
    (thread * SERIES.len() + series) as u64 * SLOT
}

#[cfg(test)]
mod tests {
    use super::{Count, Tally};

    #[test]
    fn written_progress_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tally");
        assert_eq!(Count::read(&path), Count::default());
        let tally = Tally::create(&path).unwrap();
        tally.begin(0, 1, 7).unwrap();
        tally.done(0, 1, 6).unwrap();
        tally.begin(1, 1, 1 << 40).unwrap();
        tally.tell(9, 8).unwrap();
        let expected = Count { begun: [0, 7 + (1 << 40), 0], done: [0, 6, 0], delivered: 8 };
        assert_eq!(Count::read(&path), expected);
    }
}
