//! What has arrived at the two backends, series by series.

use super::tally::SERIES;
use anyhow::{Context, ensure};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How many readings of each series.
pub(crate) type Arrived = [u64; SERIES.len()];

/// What Librato has taken: each payload once, by its key.
#[derive(Debug)]
pub(crate) struct LibratoBooks {
    path: PathBuf,
    read_to: u64,
    /// Where its worker keeps what Librato refused.
    letters: PathBuf,
    read: BTreeSet<PathBuf>,
    /// The keys of what stands in those, and of what Librato has taken.
    refused: BTreeSet<String>,
    taken: BTreeSet<String>,
    bodies: BTreeMap<String, Vec<u8>>,
    /// By source.
    arrived: BTreeMap<String, Arrived>,
    /// Which payload had a series of some time: source, name, time.
    windows: BTreeMap<(String, String, u64), String>,
    /// Payloads that came again, with the mark that they have.
    pub(crate) repeated: u64,
    /// What cannot be explained.
    pub(crate) complaints: Vec<String>,
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
            complaints: Vec::new(),
        }
    }

    /// Reads what has come since, to Librato or into a dead letter.
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

    /// How many payloads stand in a dead letter and nowhere else.
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
        // A line that the fake could not finish before it was killed was not answered either.
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
                return self.complaints.push(format!("Librato: two bodies with the key {key}"));
            }
            Entry::Vacant(place) => drop(place.insert(body.to_vec())),
        }
        if key.is_empty() {
            self.complaints.push("Librato: a payload without a key".to_owned());
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
        self.arrived.entry(source.clone()).or_default()[series] += value as u64;
        let time = gauge["measure_time"].as_u64().or(time).unwrap_or_default();
        let before = self.windows.insert((source.clone(), name.clone(), time), key.to_owned());
        if let Some(before) = before {
            self.complaints.push(format!("Librato: {source} {name} {time} in {before} and {key}"));
        }
    }

    pub(crate) fn of(&self, source: &str) -> Arrived {
        self.arrived.get(source).copied().unwrap_or_default()
    }
}

/// What Carbon has of one source, on disk.
pub(crate) fn carbon(folder: &Path, source: &str) -> Arrived {
    SERIES.map(|(_, name)| {
        let path = folder.join("whisper").join(source).join(name.replace('.', "/"));
        // One that is being made is read again.
        whisper_sum(&path.with_extension("wsp")).unwrap_or_default()
    })
}

/// The sum of all points of a whisper file with one archive: a header of 16 bytes, one of 12 for
/// the archive, then a time (u32 BE) and a value (f64 BE) each.
///
/// Read here and not by whisper, which refuses to read what lies in the future.
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
    fn a_payload_counts_once_and_a_window_that_comes_twice_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        let mut books = LibratoBooks::new(path.clone(), folder.path().join("letters"));
        books.read_on().unwrap();
        let mut text = line("k1", 5, 3) + &line("k1", 5, 3) + &line("k2", 6, 4) + "k3\t{\"meas";
        std::fs::write(&path, &text).unwrap();
        books.read_on().unwrap();
        assert_eq!((books.of("a-1"), books.repeated), ([7, 0, 0], 1));
        assert_eq!(books.complaints, [""; 0]);
        text += &("\n".to_owned() + &line("k4", 6, 1) + &line("k1", 5, 9));
        std::fs::write(&path, &text).unwrap();
        books.read_on().unwrap();
        assert_eq!((books.of("a-1"), books.complaints.len()), ([8, 0, 0], 2));
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
