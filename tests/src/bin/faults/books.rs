//! The measurements that have arrived at the two backends, by series.

use super::tally::SERIES;
use anyhow::{Context, ensure};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Number of readings of each series.
pub(crate) type Arrived = [u64; SERIES.len()];

/// The payloads that Librato has accepted, each once, by key.
#[derive(Debug)]
pub(crate) struct LibratoBooks {
    path: PathBuf,
    read_to: u64,
    /// The folder in which the worker keeps payloads that Librato rejected.
    letters: PathBuf,
    read: BTreeSet<PathBuf>,
    /// The keys of the payloads in dead letters, and of those that Librato has accepted.
    refused: BTreeSet<String>,
    taken: BTreeSet<String>,
    bodies: BTreeMap<String, Vec<u8>>,
    /// By source.
    arrived: BTreeMap<String, Arrived>,
    /// The key of the payload that contained a series at a time, and the value; by source, name and
    /// time.
    windows: BTreeMap<(String, String, u64), (String, u64)>,
    /// Number of payloads that arrived again with the same key, and of series that arrived again in
    /// a piece of a payload.
    pub(crate) repeated: u64,
    /// Differences that cannot be explained.
    pub(crate) problems: Vec<String>,
}

impl LibratoBooks {
    pub(crate) fn new(path: PathBuf, letters: PathBuf) -> Self {
        Self {
            path,
            read_to: 0,
            letters,
            read: BTreeSet::new(),
            refused: BTreeSet::new(),
            taken: BTreeSet::new(),
            bodies: BTreeMap::new(),
            arrived: BTreeMap::new(),
            windows: BTreeMap::new(),
            repeated: 0,
            problems: Vec::new(),
        }
    }

    /// Reads the payloads that have arrived since the last call, at Librato or in a dead letter.
    pub(crate) fn read_on(&mut self) -> anyhow::Result<()> {
        for letter in std::fs::read_dir(&self.letters).into_iter().flatten() {
            let path = letter?.path();
            if path.extension().is_some_and(|e| e == "dead") && self.read.insert(path.clone()) {
                self.take_letter(&std::fs::read(&path)?)?;
            }
        }
        let Ok(mut file) = File::open(&self.path) else { return Ok(()) };
        file.seek(SeekFrom::Start(self.read_to))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let Some(whole) = bytes.iter().rposition(|byte| *byte == b'\n') else { return Ok(()) };
        self.read_to += whole as u64 + 1;
        bytes[..whole].split(|byte| *byte == b'\n').for_each(|line| self.take_line(line));
        Ok(())
    }

    /// Number of payloads that are only in a dead letter.
    pub(crate) fn only_in_letters(&self) -> usize {
        self.refused.difference(&self.taken).count()
    }

    fn take_letter(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").context("no dead letter")?;
        let head = std::str::from_utf8(&bytes[..end])?;
        let key = head.lines().find_map(|line| line.strip_prefix("key: ")).context("no key")?;
        self.refused.insert(key.to_owned());
        self.fold(key, &bytes[end + 2..]);
        Ok(())
    }

    fn take_line(&mut self, line: &[u8]) {
        let Some(tab) = line.iter().position(|byte| *byte == b'\t') else { return };
        let (key, body) = (String::from_utf8_lossy(&line[..tab]).into_owned(), &line[tab + 1..]);
        // The fake did not answer a request whose line it could not finish before it was killed.
        if serde_json::from_slice::<serde_json::Value>(body).is_err() {
            return;
        }
        self.fold(&key, body);
        if !self.taken.insert(key) {
            self.repeated += 1;
        }
    }

    fn fold(&mut self, key: &str, body: &[u8]) {
        match self.bodies.entry(key.to_owned()) {
            Entry::Occupied(before) if before.get() == body => return,
            Entry::Occupied(_) => {
                return self.problems.push(format!("Librato: two bodies with the key {key}"));
            }
            Entry::Vacant(place) => drop(place.insert(body.to_vec())),
        }
        if key.is_empty() {
            self.problems.push("Librato: a payload without a key".to_owned());
        }
        let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let time = json["measure_time"].as_u64();
        for gauge in json["gauges"].as_array().into_iter().flatten() {
            self.add(key, gauge, time);
        }
    }

    fn add(&mut self, key: &str, gauge: &serde_json::Value, time: Option<u64>) {
        let text = |field: &str| gauge[field].as_str().unwrap_or_default().to_owned();
        let (source, name) = (text("source"), text("name"));
        let Some(series) = SERIES.iter().position(|(_, known)| *known == name) else { return };
        let value = gauge["value"].as_f64().or_else(|| gauge["sum"].as_f64()).unwrap_or_default();
        let value = value as u64;
        let time = gauge["measure_time"].as_u64().or(time).unwrap_or_default();
        match self.windows.entry((source, name, time)) {
            // The answer to the payload was lost. Librato then rejected the repeated payload because
            // of another series, so it was repeated in pieces. Nothing here records rejected
            // requests, so a part that is delivered twice for no reason is counted as repeated too.
            Entry::Occupied(before)
                if before.get().1 == value && part(&before.get().0) == part(key) =>
            {
                self.repeated += 1;
            }
            Entry::Occupied(before) => {
                let ((source, name, time), (before, _)) = (before.key(), before.get());
                self.problems
                    .push(format!("Librato: {source} {name} {time} in {before} and {key}"));
                self.arrived.entry(source.clone()).or_default()[series] += value;
            }
            Entry::Vacant(place) => {
                self.arrived.entry(place.key().0.clone()).or_default()[series] += value;
                place.insert((key.to_owned(), value));
            }
        }
    }

    pub(crate) fn of(&self, source: &str) -> Arrived {
        self.arrived.get(source).copied().unwrap_or_default()
    }
}

/// The window and the part of it that a key names, without the hash of the payload.
fn part(key: &str) -> &str {
    key.rsplit_once('-').map_or(key, |(part, _hash)| part)
}

/// The measurements of one source that Carbon has on disk.
pub(crate) fn carbon(folder: &Path, source: &str) -> Arrived {
    SERIES.map(|(_, name)| {
        let path = folder.join("whisper").join(source).join(name.replace('.', "/"));
        // A file that is being created is read again.
        whisper_sum(&path.with_extension("wsp")).unwrap_or_default()
    })
}

/// The sum of all points of a whisper file with one archive: a header of 16 bytes, one of 12 bytes
/// for the archive, then a time (u32 BE) and a value (f64 BE) for each point.
///
/// Read here and not by whisper, which does not read points in the future.
fn whisper_sum(path: &Path) -> anyhow::Result<u64> {
    let bytes = std::fs::read(path)?;
    let number = |at: usize| -> anyhow::Result<u32> {
        let four = bytes.get(at..at + 4).context("the header is short")?;
        Ok(u32::from_be_bytes(four.try_into()?))
    };
    ensure!(number(12)? == 1, "more than one archive");
    let points = bytes.get(number(16)? as usize..).context("no points")?;
    let mut sum = 0.0;
    for point in points.chunks_exact(12) {
        let (time, value) = point.split_at(4);
        if time != [0; 4] {
            sum += f64::from_be_bytes(value.try_into()?);
        }
    }
    Ok(sum as u64)
}

#[cfg(test)]
mod tests {
    use super::{LibratoBooks, carbon};

    fn line(key: &str, time: u64, value: u64) -> String {
        let gauge = format!(r#"{{"name":"faults.orders","source":"a-1","value":{value}}}"#);
        format!("{key}\t{{\"measure_time\":{time},\"gauges\":[{gauge}]}}\n")
    }

    #[test]
    fn a_payload_counts_once_and_a_repeated_window_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        let mut books = LibratoBooks::new(path.clone(), folder.path().join("letters"));
        books.read_on().unwrap();
        let mut text = line("k1", 5, 3) + &line("k1", 5, 3) + &line("k2", 6, 4) + "k3\t{\"meas";
        std::fs::write(&path, &text).unwrap();
        books.read_on().unwrap();
        assert_eq!((books.of("a-1"), books.repeated), ([7, 0, 0], 1));
        assert_eq!(books.problems, [""; 0]);
        text += &("\n".to_owned() + &line("k4", 6, 1) + &line("k1", 5, 9));
        std::fs::write(&path, &text).unwrap();
        books.read_on().unwrap();
        assert_eq!((books.of("a-1"), books.problems.len()), ([8, 0, 0], 2));
    }

    #[test]
    fn a_piece_of_a_payload_that_arrived_before_is_a_repetition() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        let mut books = LibratoBooks::new(path.clone(), folder.path().join("letters"));
        let text = line("w/5000+1000/0-aa", 5, 3) + &line("w/5000+1000/0-bb", 5, 3);
        std::fs::write(&path, &text).unwrap();
        books.read_on().unwrap();
        assert_eq!((books.of("a-1"), books.repeated), ([3, 0, 0], 1));
        assert_eq!(books.problems, [""; 0]);
        // Another value, or another part of the window.
        let more = line("w/5000+1000/0-cc", 5, 4) + &line("w/5000+1000/1-dd", 5, 3);
        std::fs::write(&path, text + &more).unwrap();
        books.read_on().unwrap();
        assert_eq!((books.of("a-1"), books.repeated, books.problems.len()), ([10, 0, 0], 1, 2));
    }

    #[test]
    fn whisper_files_are_summed_up() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("whisper/a-1/faults");
        std::fs::create_dir_all(&place).unwrap();
        let mut bytes: Vec<u8> =
            [1_u32, 3, 0, 1, 28, 1, 3].iter().flat_map(|n| n.to_be_bytes()).collect();
        for (time, value) in [(7_u32, 2.0_f64), (0, 9.0), (9, 40.0)] {
            bytes.extend(time.to_be_bytes());
            bytes.extend(value.to_be_bytes());
        }
        std::fs::write(place.join("orders.wsp"), bytes).unwrap();
        assert_eq!(carbon(folder.path(), "a-1"), [42, 0, 0]);
    }
}
