//! Standard output and standard error that are full, closed or not read: daemons continue and count
//! lost lines, commands report an error.

use crate::daemons::Daemons;
use rustix::pipe::fcntl_setpipe_size;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use zibrato::Zibrato;
use zibrato_tests::{BACKENDS, Broker, DEADLINE, Ports, Running, Signal, program, wait_until};

/// Every daemon that serves pages, with flags that let it start.
fn daemons() -> Daemons {
    Daemons::with(&["--no-journal"], &["--dead-letters", "letters"])
}

/// The commands that print, in a folder with a journal and an empty folder of dead letters.
/// Commands that need a broker's port are added to them.
const COMMANDS: [(&str, &[&str]); 13] = [
    ("zibrato-broker", &["--help"]),
    ("zibrato-broker", &["--version"]),
    ("zibrato-broker", &["--check", "--port", "0", "--http", "off", "--journal", "other"]),
    ("zibrato-broker", &["journal", "--help"]),
    ("zibrato-broker", &["journal", "info", "--journal", "journal"]),
    ("zibrato-broker", &["journal", "dump", "--journal", "journal"]),
    ("zibrato-broker", &["journal", "dump", "--lines", "--journal", "journal"]),
    ("zibrato-broker", &["journal", "verify", "--journal", "journal"]),
    ("zibrato-broker", &["cursors", "--help"]),
    ("zibrato-carbon", &["--version"]),
    ("zibrato-carbon", &["deadletter", "--help"]),
    ("zibrato-carbon", &["deadletter", "list", "--dead-letters", "letters"]),
    ("zibrato-tail", &["--help"]),
];

/// A daemon in its own folder, whose standard error is redirected by a shell.
struct Daemon {
    running: Running,
    ports: Ports,
}

impl Daemon {
    /// Starts a daemon with a line of the shell, in which `"$@"` is the daemon, and waits until it
    /// serves its pages.
    fn start(name: &str, flags: &[impl AsRef<OsStr>], line: &str, folder: &Path) -> Self {
        let ports = Ports::take();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", line, "sh"]).arg(program(name)).args(flags).current_dir(folder);
        shell.arg("--port").arg(ports.at(0).to_string());
        shell.arg("--http").arg(format!("127.0.0.1:{}", ports.at(4)));
        let mut running = Running::start(&mut shell);
        running.listens(ports.at(4));
        Self { running, ports }
    }

    fn dropped(&self) -> f64 {
        let page = Broker::page_at(self.ports.at(4), "/metrics");
        let name = "zibrato_log_lines_dropped_total ";
        let value = page.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap().parse().unwrap()
    }

    /// Asserts that it is running, and ends successfully when it is stopped.
    fn ends(&mut self) {
        let page = Broker::page_at(self.ports.at(4), "/healthz");
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        assert_eq!(self.running.stop(Signal::TERM).code(), Some(0));
    }
}

/// A named pipe that is open for reading.
fn fifo(folder: &Path) -> (PathBuf, File) {
    let path = folder.join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let reader = File::options().read(true).write(true).open(&path).unwrap();
    (path, reader)
}

#[test]
fn a_daemon_that_cannot_write_its_log_continues_and_counts_lost_lines() {
    for (name, flags) in daemons().iter() {
        let folder = TempDir::new().unwrap();
        let mut daemon = Daemon::start(name, flags, "exec \"$@\" 2>/dev/full", folder.path());
        wait_until(DEADLINE, "dropped lines", || daemon.dropped() >= 1.0);
        daemon.ends();
    }
}

#[test]
fn a_daemon_whose_log_was_closed_continues_and_counts_lost_lines() {
    for (name, flags) in daemons().iter() {
        let folder = TempDir::new().unwrap();
        let (_, reader) = fifo(folder.path());
        let mut daemon = Daemon::start(name, flags, "exec \"$@\" 2>fifo", folder.path());
        drop(reader);
        // The broker logs requests; a worker logs that there is no broker.
        wait_until(DEADLINE, "dropped lines", || {
            if *name == "zibrato-broker" {
                daemon.running.signal(Signal::HUP);
            }
            daemon.dropped() >= 1.0
        });
        daemon.ends();
    }
}

#[test]
fn a_daemon_whose_log_is_a_full_pipe_runs_and_stops() {
    for (name, flags) in daemons().iter() {
        let folder = TempDir::new().unwrap();
        let (_, mut reader) = fifo(folder.path());
        let room = fcntl_setpipe_size(&reader, 4096).unwrap();
        reader.write_all(&vec![b'x'; room]).unwrap();
        let mut daemon = Daemon::start(name, flags, "exec \"$@\" 2>fifo", folder.path());
        daemon.ends();
    }
}

#[test]
fn a_pipe_that_is_read_again_gets_all_queued_lines() {
    let folder = TempDir::new().unwrap();
    let (_, mut reader) = fifo(folder.path());
    let room = fcntl_setpipe_size(&reader, 4096).unwrap();
    reader.write_all(&vec![b'x'; room]).unwrap();
    let mut daemon =
        Daemon::start("zibrato-broker", &["--no-journal"], "exec \"$@\" 2>fifo", folder.path());
    let mut log = String::new();
    while !log.contains("event=\"listening\"") {
        let mut bytes = [0; 4096];
        let read = reader.read(&mut bytes).unwrap();
        log.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    assert_eq!(daemon.dropped(), 0.0);
    daemon.ends();
}

#[test]
fn a_log_at_its_size_limit_loses_lines_and_reports_them_later() {
    let folder = TempDir::new().unwrap();
    // 512 bytes; beyond them the system sends a signal that ends most programs.
    let line = "ulimit -S -f 1; exec \"$@\"";
    let mut daemon = Daemon::start("zibrato-broker", &["--no-journal"], line, folder.path());
    wait_until(DEADLINE, "dropped lines", || {
        daemon.running.signal(Signal::HUP);
        daemon.dropped() >= 1.0
    });
    let id = Pid::from_raw(i32::try_from(daemon.running.id()).unwrap());
    let free = Rlimit { current: None, maximum: None };
    prlimit(id, Resource::Fsize, free).unwrap();
    wait_until(DEADLINE, "a report of the missing lines", || {
        daemon.running.signal(Signal::HUP);
        daemon.running.log().contains("event=\"log_lines_dropped\" lines=")
    });
    // Each line begins at the start of a line.
    let log = daemon.running.log();
    assert!(log.lines().all(|line| line.matches("event=").count() <= 1), "{log}");
    daemon.ends();
}

/// Runs each command with its standard output redirected by the shell.
fn commands(line: &str, check: impl Fn(&str, Option<i32>, &str)) {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("letters")).unwrap();
    let journal = folder.path().join("journal").display().to_string();
    let mut broker = Broker::start_with(&["--journal", &journal, "--keep-levels", "info"]);
    let z = Zibrato::builder().port(broker.port()).build().unwrap();
    z.count("info", "logins", 3);
    assert_eq!(z.flush(DEADLINE).delivered, 1);
    let list = ["cursors", "list", "--port", &broker.port().to_string()].map(str::to_owned);
    let keygen = ["keygen", "--out", "keys"].map(str::to_owned);
    let helps = BACKENDS.map(|backend| (backend.program, &["--help"][..]));
    let commands = COMMANDS
        .into_iter()
        .chain(helps)
        .map(|(name, args)| (name, args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>()));
    let port = broker.publishing_port().to_string();
    let check_tail = ["--check", "--port", &port].map(str::to_owned);
    let letters = ["--dead-letters", "letters"].map(str::to_owned);
    let more = [
        ("zibrato-broker", list.to_vec()),
        ("zibrato-broker", keygen.to_vec()),
        ("zibrato-carbon", [&check_tail[..], &letters].concat()),
        ("zibrato-tail", check_tail.to_vec()),
    ];
    for (name, args) in commands.chain(more) {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", line, "sh"]).arg(program(name)).args(&args);
        let (status, _, log) = Running::run(shell.current_dir(folder.path()));
        check(&format!("{name} {args:?}"), status.code(), &log);
    }
    assert_eq!(broker.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn a_command_that_cannot_print_exits_with_74_and_names_stdout() {
    commands("exec \"$@\" >/dev/full", |command, code, log| {
        assert_eq!(code, Some(74), "{command}: {log}");
        let parts = ["stdout cannot be written", "No space left on device"];
        assert!(parts.iter().all(|part| log.contains(part)), "{command}: {log}");
        assert_eq!(log.lines().count(), 1, "{command}: {log}");
    });
}

#[test]
fn a_command_whose_reader_is_closed_ends_silently() {
    // The command writes when the other side is certainly closed, because `wait` waits for no one's
    // input.
    let line = "mkfifo gone; exec 3<>gone; exec 4>gone; exec 3<&-; exec \"$@\" >&4 4>&-";
    let line = format!("rm -f gone; {line}");
    commands(&line, |command, code, log| {
        assert_eq!((code, log), (Some(0), ""), "{command}");
    });
}

#[test]
fn tail_reports_that_it_cannot_print_and_exits() {
    let broker = Broker::start();
    for (to, code, said) in [("/dev/full", 74, "stdout cannot be written"), ("&4", 0, "")] {
        let folder = TempDir::new().unwrap();
        let line = "mkfifo gone; exec 3<>gone; exec 4>gone; exec 3<&-; exec \"$@\"";
        let line = format!("{line} >{to}");
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &line, "sh"]).arg(program("zibrato-tail"));
        shell.args(["--port", &broker.publishing_port().to_string()]).current_dir(folder.path());
        let mut tail = Running::start(&mut shell);
        let z = Zibrato::builder().port(broker.port()).interval(Duration::from_millis(50));
        let z = z.build().unwrap();
        wait_until(DEADLINE, "the end of zibrato-tail", || {
            z.count("info", "logins", 1);
            tail.has_ended()
        });
        assert_eq!(tail.ended().code(), Some(code), "{to}");
        assert!(tail.log().contains(said), "{to}: {}", tail.log());
    }
}

#[test]
fn an_invalid_command_line_has_its_exit_code_without_stderr() {
    for (name, _) in daemons().and_tail(&[]).iter() {
        for (flag, code) in [("--nonsense", 64), ("--log-level=inof", 78)] {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", "exec \"$@\" 2>/dev/full", "sh"]).arg(program(name)).arg(flag);
            assert_eq!(Running::run(&mut shell).0.code(), Some(code), "{name} {flag}");
        }
    }
}
