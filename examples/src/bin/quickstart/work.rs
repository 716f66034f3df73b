//! The work that is measured: reads files on several threads, counts files, lines and bytes.
//!
//! This code does not know where the measurements go.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use walkdir::{DirEntry, WalkDir};
use zibrato::daemon::Stop;
use zibrato::{Zibrato, count_me, gauge, time_me};

/// Folders that are skipped, because they do not contain the user's own files.
pub(crate) const LEFT_OUT: [&str; 2] = [".git", "target"];

/// The totals of one or more files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) files: u64,
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.lines += other.lines;
        self.bytes += other.bytes;
    }
}

/// The totals of the threads, by extension, and the number of unreadable files.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) by_extension: BTreeMap<String, Tally>,
    pub(crate) unreadable: u64,
}

/// Whether the files are read once or repeatedly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    Once,
    UntilStopped,
}

/// Reads all files below `paths` on several threads, until they are done or `stop` is raised.
pub(crate) fn read_all(
    paths: &[PathBuf],
    threads: usize,
    times: Times,
    stop: &Stop,
    z: &Zibrato,
) -> Done {
    let done = Mutex::new(Done::default());
    let (queue, files) = sync_channel::<PathBuf>(1000);
    let files = Mutex::new(files);
    let unreadable = thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| take_files(&files, &done, z));
        }
        let unreadable = walk(paths, times, stop, &queue);
        drop(queue);
        unreadable
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.unreadable += unreadable;
    done
}

/// Passes all files to the threads. Returns the number of unreadable folders.
fn walk(paths: &[PathBuf], times: Times, stop: &Stop, queue: &SyncSender<PathBuf>) -> u64 {
    let mut unreadable = 0;
    loop {
        let entries = paths.iter().flat_map(|path| {
            let left_out = |entry: &DirEntry| {
                let name = entry.file_name().to_str().unwrap_or_default();
                entry.depth() > 0 && entry.file_type().is_dir() && LEFT_OUT.contains(&name)
            };
            WalkDir::new(path).into_iter().filter_entry(move |entry| !left_out(entry))
        });
        for entry in entries {
            if stop.raised() {
                return unreadable;
            }
            match entry {
                Ok(entry) if entry.file_type().is_file() => {
                    if queue.send(entry.into_path()).is_err() {
                        return unreadable;
                    }
                }
                Ok(_) => {}
                Err(_) => {
                    zibrato::count!("warn", "quickstart.unreadable");
                    unreadable += 1;
                }
            }
        }
        if times == Times::Once {
            return unreadable;
        }
    }
}

fn take_files(files: &Mutex<Receiver<PathBuf>>, done: &Mutex<Done>, z: &Zibrato) {
    let mut mine = Done::default();
    let mut buffer = vec![0; 64 * 1024];
    while let Some(path) = next(files) {
        match read_file(&path, &mut buffer) {
            Ok(tally) => {
                let extension = extension(&path);
                // The extension is known only at run time, so these counters use the handle.
                z.count("info", &format!("files.{extension}"), tally.files);
                z.count("info", &format!("lines.{extension}"), tally.lines);
                z.count("info", &format!("bytes.{extension}"), tally.bytes);
                *mine.by_extension.entry(extension).or_default() += tally;
            }
            Err(_) => mine.unreadable += 1,
        }
    }
    let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.unreadable += mine.unreadable;
    for (extension, tally) in mine.by_extension {
        *done.by_extension.entry(extension).or_default() += tally;
    }
}

fn next(files: &Mutex<Receiver<PathBuf>>) -> Option<PathBuf> {
    files.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv().ok()
}

/// Two attributes measure how long each read took, and how many failed.
#[time_me(level = "info", name = "quickstart.read")]
#[count_me(level = "warn", name = "quickstart.unreadable", on = "err")]
fn read_file(path: &Path, buffer: &mut [u8]) -> io::Result<Tally> {
    let mut file = File::open(path)?;
    let mut tally = Tally { files: 1, ..Tally::default() };
    loop {
        let length = match file.read(buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let lines = buffer.iter().take(length).filter(|byte| **byte == b'\n').count();
        tally.lines += lines as u64;
        tally.bytes += length as u64;
    }
    gauge!("info", "quickstart.file_bytes", tally.bytes);
    Ok(tally)
}

/// The extension in lower case, without characters that are invalid in a name; `none` if there is
/// none.
fn extension(path: &Path) -> String {
    let text = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    let plain: String = text.chars().filter(|c| c.is_alphanumeric()).take(16).collect();
    if plain.is_empty() { "none".to_owned() } else { plain }
}
