//! The measured processes: their output, CPU time and memory.

use crate::Failure;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// A running process, which is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    says: Receiver<String>,
}

/// CPU time in nanoseconds, by thread.
pub type Cpu = BTreeMap<String, u64>;

/// The memory of a process, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Everything that is resident, including libraries.
    pub resident: u64,
    /// The part that belongs only to this process.
    pub own: u64,
    /// The peak of the resident memory so far.
    pub peak: u64,
}

impl Process {
    /// Starts a program that prints lines on standard output or on standard error.
    pub fn start(command: &mut Command, on_stderr: bool) -> Result<Self, Failure> {
        command.stdin(Stdio::piped());
        if on_stderr {
            command.stderr(Stdio::piped())
        } else {
            command.stdout(Stdio::piped())
        };
        let mut child = command.spawn()?;
        let output: Box<dyn Read + Send> = match (child.stdout.take(), child.stderr.take()) {
            (Some(stdout), _) => Box::new(stdout),
            (None, Some(stderr)) => Box::new(stderr),
            (None, None) => return Err("the process has no output".into()),
        };
        let (send, says) = sync_channel(1_000);
        // Ends with the process. Unread lines are dropped, so that the process never waits.
        std::thread::Builder::new().name("says".to_owned()).spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if env::var_os("ZIBRATO_BENCH_SAY").is_some() {
                    eprintln!("| {line}");
                }
                drop(send.try_send(line));
            }
        })?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin, says })
    }

    /// Starts this program in another role; also returns its first line.
    pub fn part(arguments: &[&str]) -> Result<(Self, String), Failure> {
        let mut command = Command::new(env::current_exe()?);
        let process = Self::start(command.arg("--part").args(arguments), false)?;
        let line = process.line(Duration::from_secs(60))?;
        Ok((process, line))
    }

    /// The next line of its output.
    pub fn line(&self, within: Duration) -> Result<String, Failure> {
        self.says.recv_timeout(within).map_err(|_| "a process prints nothing".into())
    }

    /// The next line of its output that contains this word.
    pub fn line_with(&self, word: &str, within: Duration) -> Result<String, Failure> {
        loop {
            let line = self.line(within)?;
            if line.contains(word) {
                return Ok(line);
            }
        }
    }

    /// Sends a line to its standard input.
    pub fn tell(&mut self, line: &str) -> Result<(), Failure> {
        let stdin = self.stdin.as_mut().ok_or("standard input is closed")?;
        Ok(writeln!(stdin, "{line}")?)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its CPU time so far, with that of the processes that it has started and that still run.
    pub fn cpu(&self) -> Cpu {
        cpu_of(self.id())
    }

    pub fn memory(&self) -> Memory {
        Memory::of(&self.id().to_string())
    }

    /// Stops it, and waits for its end.
    pub fn stop(mut self) -> Result<(), Failure> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        status.success().then_some(()).ok_or_else(|| format!("a process ended: {status}").into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have already ended, which is fine.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Memory {
    /// The memory of a process, by its id, or `self`.
    pub fn of(process: &str) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').trim().split(' ').next()?.parse::<u64>().ok()
        };
        let bytes = |name| bytes(name).unwrap_or(0) << 10;
        Self { resident: bytes("VmRSS"), own: bytes("RssAnon"), peak: bytes("VmHWM") }
    }
}

/// The CPU time of a process so far, with that of the processes that it has started and that still
/// run.
pub fn cpu_of(process: u32) -> Cpu {
    let (mut cpu, mut processes) = (Cpu::new(), vec![process.to_string()]);
    while let Some(id) = processes.pop() {
        let tasks = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten();
        for task in tasks.flatten() {
            let read = |file| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let name = read("comm").trim().to_owned();
            let nanoseconds = read("schedstat").split(' ').next().and_then(|n| n.parse().ok());
            *cpu.entry(name).or_default() += nanoseconds.unwrap_or(0_u64);
            processes.extend(read("children").split_whitespace().map(str::to_owned));
        }
    }
    cpu
}

/// The path of another program: that of an environment variable, or of the program in PATH.
pub fn installed(variable: &str, program: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).or_else(|| {
        let path = env::var_os("PATH")?;
        env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
    })
}

/// Starts a broker of this checkout, in release mode, with these flags; also returns its lowest
/// port.
pub fn broker(flags: &[&str]) -> Result<(Process, u16), Failure> {
    let program = env::current_exe()?.with_file_name("zibrato-broker");
    let mut command = Command::new(program);
    command.args(["--port", "0", "--settle", "0", "--http", "off"]).args(flags);
    let process = Process::start(&mut command, true)?;
    let line = process.line_with("event=\"listening\"", Duration::from_secs(60))?;
    let port = line
        .split_once("publishers=\"tcp://127.0.0.1:")
        .and_then(|(_, rest)| rest.split_once('"').and_then(|(port, _)| port.parse().ok()));
    Ok((process, port.ok_or_else(|| format!("no port in {line}"))?))
}

/// The CPU time of the calling thread so far.
pub fn cpu_of_this_thread() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// An empty folder next to the programs, on the disk of target/.
pub fn scratch(name: &str) -> Result<PathBuf, Failure> {
    let beside = env::current_exe()?;
    let folder = beside.parent().unwrap_or(Path::new(".")).join("scratch").join(name);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
