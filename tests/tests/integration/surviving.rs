//! A program continues its own work whatever happens to its instrument, and after the fault, its
//! measurements arrive.

use rustix::io::Errno;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use zibrato_tests::{
    Broker, DEADLINE, FailingDisk, Room, Running, Signal, Witness, wait_for, wait_until,
};

/// The ways in which the program forks.
const FORKS: [&str; 3] = ["none", "child", "daemon"];

/// The program, in its own folder.
struct Program {
    running: Running,
    folder: TempDir,
    fork: &'static str,
    what: String,
}

impl Program {
    /// Starts it; `change` gets its working folder.
    fn start(
        broker: &Broker,
        (fault, when, fork): (&str, &str, &'static str),
        change: impl FnOnce(&mut Command, &Path),
    ) -> Self {
        let folder = TempDir::new().unwrap();
        // For programs that become another user.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_surviving"));
        command.arg(broker.port().to_string()).arg(folder.path()).args([fault, when, fork]);
        change(&mut command, folder.path());
        let running = Running::start(&mut command);
        Self { running, folder, fork, what: format!("{fault} {when} {fork}") }
    }

    fn processes(&self) -> &'static [&'static str] {
        if self.fork == "none" { &["parent"] } else { &["parent", "child"] }
    }

    /// Waits until the fault is active and some work was done since.
    #[track_caller]
    fn is_struck(&mut self) {
        for who in self.processes() {
            let file = self.folder.path().join(format!("{who}.struck"));
            let what = format!("{}: the fault in the {who}", self.what);
            wait_until(DEADLINE, &what, || {
                assert!(!self.running.has_ended(), "{}: ended: {}", self.what, self.running.log());
                file.exists()
            });
        }
    }

    /// Repairs a fault of the program, and waits for its end: its work is done, and its
    /// measurements have arrived. Returns the number of lines that it counted.
    #[track_caller]
    fn ends_well(mut self) -> f64 {
        std::fs::write(self.folder.path().join("mend"), "").unwrap();
        let status = self.running.ended_within(DEADLINE * 2);
        assert!(status.success(), "{}: {status}: {}", self.what, self.running.log());
        let mut counted = 0.0;
        for who in self.processes() {
            let report = std::fs::read_to_string(self.folder.path().join(who)).unwrap();
            let [lines, recorded, delivered, lost, "true"] =
                report.split(' ').collect::<Vec<_>>()[..]
            else {
                panic!("{} {who}: {report}", self.what)
            };
            assert_eq!((recorded, lost), (delivered, "0"), "{} {who}: {report}", self.what);
            counted += lines.parse::<f64>().unwrap();
        }
        counted
    }
}

/// Runs the program with each fault and each way to fork, and compares its counts with the
/// measurements that arrived.
#[track_caller]
fn survives(faults: &[(&str, &str)], change: impl Fn(&mut Command, &Path)) {
    let broker = Broker::start();
    let witness = Witness::subscribe(broker.publishing_port(), Room::Plenty);
    let mut counted = 0.0;
    for (fault, when) in faults {
        for fork in FORKS {
            let mut program = Program::start(&broker, (fault, when, fork), &change);
            program.is_struck();
            counted += program.ends_well();
        }
    }
    wait_for(DEADLINE, "all counts", || (witness.total("info", "work") >= counted).then_some(()));
    assert_eq!(witness.total("info", "work"), counted);
}

/// Before the program installs its instrument, between that and a fork, and after a child has
/// measured.
fn at_any_time<'a>(faults: &[&'a str]) -> Vec<(&'a str, &'static str)> {
    let times = ["before", "between", "after"];
    faults.iter().flat_map(|fault| times.map(|when| (*fault, when))).collect()
}

fn as_it_is(_: &mut Command, _: &Path) {}

#[test]
fn a_program_without_a_fault_survives() {
    survives(&[("nothing", "before")], as_it_is);
}

#[test]
fn a_program_with_few_descriptors_survives() {
    let few =
        ["descriptors=2", "descriptors=3", "descriptors=5", "descriptors=7", "descriptors=20"];
    survives(&at_any_time(&few), as_it_is);
}

#[test]
fn a_program_that_uses_up_its_descriptors_survives() {
    survives(&at_any_time(&["descriptors_used"]), as_it_is);
}

#[test]
fn a_program_that_gets_no_threads_survives() {
    survives(&at_any_time(&["threads"]), as_it_is);
}

#[test]
fn a_program_with_little_memory_survives() {
    let little = ["memory_mib=4", "memory_mib=12", "memory_mib=40", "memory_mib=100"];
    survives(&at_any_time(&little), as_it_is);
}

#[test]
fn a_program_that_closes_unknown_descriptors_survives() {
    survives(&at_any_time(&["close_range=3", "close_range=0"]), as_it_is);
}

/// In this case its descriptors belong to the program, which is fine unless the program closes
/// them.
#[test]
fn a_program_in_a_sandbox_without_descriptor_tables_survives() {
    let broker = Broker::start();
    for fork in ["none", "child"] {
        let mut program = Program::start(&broker, ("no_table", "before", fork), as_it_is);
        program.is_struck();
        program.ends_well();
    }
}

#[test]
fn a_shortage_is_reported_to_the_program() {
    let broker = Broker::start();
    for (fault, words) in [
        (
            "descriptors=2",
            "too few file descriptors: 9 are needed besides those that are open (ulimit -n)",
        ),
        ("threads", "too few threads: 2 more are needed (ulimit -u"),
    ] {
        let mut program = Program::start(&broker, (fault, "before", "none"), as_it_is);
        program.is_struck();
        let log = program.running.log();
        assert!(log.contains(words), "{log}");
        program.ends_well();
    }
}

#[test]
fn a_program_with_all_signals_blocked_survives() {
    survives(&[("signals_blocked", "before")], as_it_is);
}

#[test]
fn a_program_without_home_or_any_variable_survives() {
    survives(&[("nothing", "before")], |command, _| {
        command.env_clear();
    });
}

#[test]
fn a_program_whose_stderr_cannot_be_written_survives() {
    // The shell redirects the stream that the harness would record.
    survives(&[("nothing", "before"), ("descriptors=2", "before")], |command, _| {
        let program = command.get_program().to_owned();
        let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        *command = Command::new("/bin/sh");
        command.args(["-c", "exec \"$0\" \"$@\" 2>/dev/full"]).arg(program).args(args);
    });
}

#[test]
fn a_program_survives_a_full_folder_for_temporary_files() {
    let full = TempDir::new().unwrap();
    let disk = FailingDisk::new(full.path());
    disk.fail(Errno::NOSPC);
    survives(&[("nothing", "before")], |command, _| {
        command.env("TMPDIR", full.path());
        disk.hold(command);
    });
}

#[test]
fn a_program_survives_a_broker_that_is_killed_or_starts_late() {
    for fork in FORKS {
        let mut broker = Broker::start();
        let mut early = Program::start(&broker, ("nothing", "before", fork), as_it_is);
        early.is_struck();
        broker.stop(Signal::KILL);
        let mut late = Program::start(&broker, ("close_range=3", "after", fork), as_it_is);
        late.is_struck();
        broker.restart();
        early.ends_well();
        late.ends_well();
    }
}
