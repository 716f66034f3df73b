//! Other processes: a broker, and this program in another role; and the CPU time of threads.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Error, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// Timeout of every wait.
const DEADLINE: Duration = Duration::from_secs(60);

/// Another process, which is killed when this is dropped.
pub struct Process {
    child: Child,
    stdin: ChildStdin,
    says: BufReader<Box<dyn Read>>,
}

impl Process {
    /// Starts this program in the role of a part in `parts.rs`; also returns its first line.
    pub fn part(name: &str, argument: &str) -> Result<(Self, String), Error> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["--part", name, argument]).stdout(Stdio::piped());
        Self::start(&mut command)
    }

    /// Starts a broker of this checkout, in release mode; also returns its port.
    pub fn broker() -> Result<(Self, u16), Error> {
        let beside = env::current_exe()?.with_file_name("zibrato-broker");
        let mut command = Command::new(beside);
        let flags = ["--port", "0", "--http", "off", "--settle", "0", "--no-journal"];
        command.args(flags).stderr(Stdio::piped());
        let (broker, line) = Self::start(&mut command)?;
        let port = line
            .split_once("publishers=\"tcp://127.0.0.1:")
            .and_then(|(_, rest)| rest.split_once('"').and_then(|(port, _)| port.parse().ok()));
        Ok((broker, port.ok_or_else(|| Error::other(format!("no port in {line}")))?))
    }

    fn start(command: &mut Command) -> Result<(Self, String), Error> {
        let mut child = command.stdin(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take().ok_or_else(|| Error::other("no stdin"))?;
        let says: Option<Box<dyn Read>> = match (child.stdout.take(), child.stderr.take()) {
            (Some(stdout), _) => Some(Box::new(stdout)),
            (None, stderr) => stderr.map(|stderr| Box::new(stderr) as Box<dyn Read>),
        };
        let says = BufReader::new(says.ok_or_else(|| Error::other("no output"))?);
        let mut process = Self { child, stdin, says };
        let line = process.line()?;
        Ok((process, line))
    }

    fn line(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// The amount that has arrived at a part so far.
    pub fn arrived(&mut self) -> Result<u64, Error> {
        self.stdin.write_all(b"\n")?;
        self.line()?.parse().map_err(Error::other)
    }

    /// Waits until this amount has arrived, or nothing arrives for a second; returns the amount and
    /// the time.
    pub fn arrives(&mut self, wanted: u64) -> Result<(u64, Instant), Error> {
        let (begun, mut last, mut since) = (Instant::now(), 0, Instant::now());
        loop {
            let arrived = self.arrived()?;
            if arrived != last {
                (last, since) = (arrived, Instant::now());
            }
            if arrived >= wanted || since.elapsed() > Duration::from_secs(1) {
                return Ok((arrived, since));
            }
            if begun.elapsed() > DEADLINE {
                return Err(Error::other(format!("{arrived} of {wanted} have arrived")));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Its CPU time so far.
    pub fn cpu(&self) -> Duration {
        let tasks = format!("/proc/{}/task", self.child.id());
        let tasks = fs::read_dir(tasks).into_iter().flatten().flatten();
        tasks.map(|task| cpu_at(&task.path().to_string_lossy())).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have already ended, which is fine.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The ids of the threads of this process.
pub fn threads() -> BTreeSet<u32> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()).collect()
}

/// The ids of the threads with this name.
pub fn threads_named(name: &str) -> BTreeSet<u32> {
    let comm = |thread: &u32| fs::read_to_string(format!("/proc/self/task/{thread}/comm"));
    threads().into_iter().filter(|t| comm(t).is_ok_and(|comm| comm.trim() == name)).collect()
}

/// The CPU time of threads of this process so far.
pub fn cpu_of(threads: &BTreeSet<u32>) -> Duration {
    threads.iter().map(|thread| cpu_at(&format!("/proc/self/task/{thread}"))).sum()
}

/// The CPU time of the calling thread so far.
pub fn cpu_of_this_thread() -> Duration {
    cpu_at("/proc/thread-self")
}

/// The first number is the CPU time in nanoseconds.
fn cpu_at(folder: &str) -> Duration {
    let text = fs::read_to_string(format!("{folder}/schedstat")).unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}
