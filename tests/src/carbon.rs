//! Runs a real Carbon (Debian's `graphite-carbon`) in a temporary folder, and reads its whisper
//! files.

use crate::ports::Ports;
use crate::running::{Running, Signal, must};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const CACHE: &str = "/usr/bin/carbon-cache";

/// Debian's Python, which has whisper.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";

/// Prints the last hour of whisper files, one `number-of-file time value` per line.
const FETCH: &str = "
import sys, time, whisper
for number, file in enumerate(sys.argv[1:]):
    (start, end, step), values = whisper.fetch(file, int(time.time()) - 3590, int(time.time()) + 60)
    for place, value in enumerate(values):
        if value is not None:
            print(number, start + place * step, repr(value))
";

/// A running `carbon-cache` that keeps one point per second for an hour.
#[derive(Debug)]
pub struct Carbon {
    running: Running,
    ports: Ports,
    folder: TempDir,
}

impl Carbon {
    /// Starts a Carbon and waits until it accepts connections.
    ///
    /// # Panics
    /// If it is not installed or does not start.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        let ports = Ports::take();
        let folder = must("a temporary folder", TempDir::new());
        Self::configure(folder.path(), &ports, "1s:1h");
        let running = run(folder.path(), &ports);
        Self { running, ports, folder }
    }

    /// Writes the configuration of a Carbon that keeps everything in this folder, listens on the
    /// first three ports, and has these `retentions`, such as `1s:1h`.
    ///
    /// # Panics
    /// If it cannot be written, or Carbon is not installed.
    #[track_caller]
    pub fn configure(folder: &Path, ports: &Ports, retentions: &str) {
        assert!(
            Path::new(CACHE).is_file(),
            "{CACHE} is not there; `apt-get install graphite-carbon` or `tests/run setup` installs it"
        );
        configure(folder, ports, retentions);
    }

    /// The command that runs a Carbon that [`configure`](Self::configure) has prepared.
    #[must_use]
    pub fn command(folder: &Path) -> Command {
        let mut command = Command::new(CACHE);
        command.arg("--nodaemon");
        command.arg("--config").arg(folder.join("carbon.conf"));
        command.arg("--pidfile").arg(folder.join("pid")).arg("start");
        command.env("GRAPHITE_ROOT", folder);
        command
    }

    /// The port for lines: `name value time`, over TCP and UDP.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.at(0)
    }

    /// The port for pickles.
    #[must_use]
    pub fn pickle_port(&self) -> u16 {
        self.ports.at(1)
    }

    /// Ends it and keeps its data; [`restart`](Self::restart) starts it again on the same port.
    ///
    /// # Panics
    /// If it does not end.
    #[track_caller]
    pub fn stop(&mut self) {
        self.running.stop(Signal::TERM);
    }

    /// Kills it, so that it loses what it has not written to disk; [`restart`](Self::restart) starts it
    /// again.
    ///
    /// # Panics
    /// If it does not end.
    #[track_caller]
    pub fn kill(&mut self) {
        self.running.stop(Signal::KILL);
    }

    /// Starts it again after [`stop`](Self::stop).
    ///
    /// # Panics
    /// If it does not start.
    #[track_caller]
    pub fn restart(&mut self) {
        self.running = run(self.folder.path(), &self.ports);
    }

    /// The metrics on disk, in order, such as `info.web.logins`.
    #[must_use]
    pub fn metrics(&self) -> Vec<String> {
        let root = self.whisper();
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "wsp") {
                    let path = path.with_extension("");
                    let inside = path.strip_prefix(&root).unwrap_or(&path);
                    found.push(inside.to_string_lossy().replace('/', "."));
                }
            }
        }
        // Carbon's metrics about itself.
        found.retain(|metric| !metric.starts_with("carbon."));
        found.sort();
        found
    }

    /// The points of one metric on disk: Unix seconds and value. None if the metric does not exist
    /// (yet).
    ///
    /// # Panics
    /// If whisper is not installed or cannot read the file.
    #[must_use]
    #[track_caller]
    pub fn fetch(&self, metric: &str) -> Vec<(u64, f64)> {
        if !self.file(metric).is_file() {
            return Vec::new();
        }
        self.read(&[metric.to_owned()]).pop().unwrap_or_default()
    }

    /// The points of all metrics on disk.
    ///
    /// # Panics
    /// If whisper is not installed or cannot read a file.
    #[must_use]
    #[track_caller]
    pub fn fetch_all(&self) -> BTreeMap<String, Vec<(u64, f64)>> {
        let metrics = self.metrics();
        let points = self.read(&metrics);
        metrics.into_iter().zip(points).collect()
    }

    /// The points of each of these metrics.
    #[track_caller]
    fn read(&self, metrics: &[String]) -> Vec<Vec<(u64, f64)>> {
        let command = &mut Command::new(SYSTEM_PYTHON);
        command.args(["-c", FETCH]).args(metrics.iter().map(|metric| self.file(metric)));
        let (status, output, log) = Running::run(command);
        assert!(
            status.success(),
            "whisper: {log}\n`apt-get install python3-whisper graphite-carbon` installs it"
        );
        let mut points = vec![Vec::new(); metrics.len()];
        for line in output.lines() {
            let mut fields = line.split(' ');
            let mut next = || fields.next().unwrap_or_default();
            let (number, time, value) = (next().parse(), next().parse(), next().parse());
            let of: &mut Vec<_> = &mut points[must::<usize, _>(line, number)];
            of.push((must(line, time), must(line, value)));
        }
        points
    }

    fn file(&self, metric: &str) -> PathBuf {
        self.whisper().join(metric.replace('.', "/")).with_extension("wsp")
    }

    /// The sum over all points of one metric.
    #[must_use]
    #[track_caller]
    pub fn sum(&self, metric: &str) -> f64 {
        self.fetch(metric).iter().map(|(_, value)| value).sum()
    }

    fn whisper(&self) -> PathBuf {
        self.folder.path().join("whisper")
    }
}

fn run(folder: &Path, ports: &Ports) -> Running {
    let mut running = Running::start(&mut Carbon::command(folder));
    running.listens(ports.at(0));
    running
}

fn configure(folder: &Path, ports: &Ports, retentions: &str) {
    let here = folder.display();
    let (line, pickle, query) = (ports.at(0), ports.at(1), ports.at(2));
    let write = |file, text: &str| must(file, fs::write(folder.join(file), text));
    // No limits, so that points reach the disk at once.
    write(
        "carbon.conf",
        &format!(
            "[cache]\n\
             STORAGE_DIR = {here}/\n\
             LOCAL_DATA_DIR = {here}/whisper/\n\
             CONF_DIR = {here}/\n\
             LOG_DIR = {here}/log/\n\
             PID_DIR = {here}/\n\
             USER =\n\
             MAX_CREATES_PER_MINUTE = inf\n\
             MAX_UPDATES_PER_SECOND = inf\n\
             LINE_RECEIVER_INTERFACE = 127.0.0.1\n\
             LINE_RECEIVER_PORT = {line}\n\
             ENABLE_UDP_LISTENER = True\n\
             UDP_RECEIVER_INTERFACE = 127.0.0.1\n\
             UDP_RECEIVER_PORT = {line}\n\
             PICKLE_RECEIVER_INTERFACE = 127.0.0.1\n\
             PICKLE_RECEIVER_PORT = {pickle}\n\
             CACHE_QUERY_INTERFACE = 127.0.0.1\n\
             CACHE_QUERY_PORT = {query}\n\
             WHISPER_AUTOFLUSH = True\n\
             WHISPER_SPARSE_CREATE = True\n\
             ENABLE_LOGROTATION = False\n"
        ),
    );
    write("storage-schemas.conf", &format!("[all]\npattern = .*\nretentions = {retentions}\n"));
}

#[cfg(test)]
mod tests {
    use super::Carbon;
    use crate::wait::{DEADLINE, wait_until};
    use std::io::Write;
    use std::net::TcpStream;

    #[test]
    fn a_point_sent_to_carbon_is_read_back() {
        let carbon = Carbon::start();
        let now = zibrato::clock::unix_ms() / 1000;
        let mut stream = TcpStream::connect(("127.0.0.1", carbon.port())).unwrap();
        write!(stream, "a.b 2.5 {now}\na.b 1 {}\n", now - 10).unwrap();
        wait_until(DEADLINE, "both points", || {
            carbon.fetch("a.b") == [(now - 10, 1.0), (now, 2.5)]
        });
        assert_eq!((carbon.metrics(), carbon.sum("a.b")), (vec!["a.b".to_owned()], 3.5));
        assert_eq!(carbon.fetch("a.c"), []);
        let all = [("a.b".to_owned(), vec![(now - 10, 1.0), (now, 2.5)])];
        assert_eq!(carbon.fetch_all(), all.into());
    }
}
