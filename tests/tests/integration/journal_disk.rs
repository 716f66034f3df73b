//! A journal's disk that fails, fills up, or is unmounted under a running broker: no acknowledged
//! batch is lost, and the broker continues by itself when the disk does.

use rustix::io::Errno;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use zibrato::Zibrato;
use zibrato_tests::{Broker, DEADLINE, FailingDisk, Ports, Running, Signal, program, wait_until};

/// A broker that keeps all levels, with its journal in a folder.
fn broker(ports: &Ports, journal: &Path) -> Command {
    let mut command = Command::new(program("zibrato-broker"));
    command.arg("--port").arg(ports.at(0).to_string());
    command.arg("--http").arg(format!("127.0.0.1:{}", ports.at(4)));
    command.arg("--journal").arg(journal).args(["--journal-min-free", "0"]);
    command.args(["--keep-levels", "info", "--settle", "0", "--shutdown-timeout", "5"]);
    command
}

fn publisher(ports: &Ports) -> Zibrato {
    let interval = Duration::from_millis(20);
    let builder = Zibrato::builder().port(ports.at(0)).interval(interval).demand(false);
    builder.flush_deadline(DEADLINE).build().unwrap()
}

#[track_caller]
fn is_unready(ports: &Ports, why: &str) {
    let what = format!("/readyz to say {why}");
    wait_until(DEADLINE, &what, || Broker::page_at(ports.at(4), "/readyz").contains(why));
}

#[track_caller]
fn is_ready(ports: &Ports) {
    let ready = || Broker::page_at(ports.at(4), "/readyz").contains(" 200 ");
    wait_until(DEADLINE, "the broker to be ready", ready);
}

/// The sum of the counter `n` in the journal in a folder.
fn kept(journal: &Path) -> f64 {
    let mut dump = Command::new(program("zibrato-broker"));
    dump.args(["journal", "dump", "--lines", "--journal"]).arg(journal);
    let (status, lines, log) = Running::run(&mut dump);
    assert!(status.success(), "{log}");
    let counted = lines.lines().filter(|line| line.starts_with("info|")).filter_map(|line| {
        let mut fields = line.split('|').skip(2);
        (fields.next() == Some("n")).then(|| fields.next()?.parse::<f64>().ok()).flatten()
    });
    counted.sum()
}

/// Number of acknowledged readings, once all are acknowledged or this time has passed.
fn delivered(z: &Zibrato, within: Duration) -> u64 {
    z.flush(within).delivered
}

fn count(z: &Zibrato, times: u64) {
    (0..times).for_each(|_| z.count("info", "n", 1));
}

/// A disk fails in one way, and is repaired.
fn fails_and_is_repaired(errno: Errno, event: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (disk, ports) = (FailingDisk::new(dir.path()), Ports::take());
    let journal = dir.path().join("journal");
    let mut command = broker(&ports, &journal);
    disk.hold(&mut command);
    let mut running = Running::start(&mut command);
    running.says(&["listening"]);
    let z = publisher(&ports);
    count(&z, 10);
    assert_eq!(delivered(&z, DEADLINE), 10);
    disk.fail(errno);
    count(&z, 10);
    running.says(&[&format!("event=\"{event}\""), "problem="]);
    is_unready(&ports, "the journal cannot be written");
    assert_eq!(delivered(&z, Duration::from_millis(500)), 10, "nothing is acknowledged");
    disk.mend();
    assert_eq!(delivered(&z, DEADLINE), 20, "it goes on by itself");
    is_ready(&ports);
    count(&z, 10);
    assert_eq!(delivered(&z, DEADLINE), 30);
    let log = running.log();
    let all = ["journal_full", "journal_unwritable", "journal_missing"];
    for other in all.iter().filter(|other| **other != event) {
        assert!(!log.contains(other), "{log}");
    }
    assert!(log.contains("journal_writes_again") && log.lines().count() < 20, "{log}");
    assert!(running.stop(Signal::TERM).success());
    assert_eq!(kept(&journal), 30.0);
}

#[test]
fn nothing_is_accepted_while_a_disk_has_errors() {
    fails_and_is_repaired(Errno::IO, "journal_unwritable");
}

#[test]
fn nothing_is_accepted_while_a_disk_is_read_only() {
    fails_and_is_repaired(Errno::ROFS, "journal_unwritable");
}

#[test]
fn nothing_is_accepted_while_a_disk_is_full() {
    fails_and_is_repaired(Errno::NOSPC, "journal_full");
}

#[test]
fn an_exceeded_quota_is_like_a_full_disk() {
    fails_and_is_repaired(Errno::DQUOT, "journal_full");
}

#[test]
fn a_broker_whose_disk_fails_until_the_end_has_its_own_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, ports) = (FailingDisk::new(dir.path()), Ports::take());
    let mut command = broker(&ports, &dir.path().join("journal"));
    disk.hold(&mut command);
    let mut running = Running::start(&mut command);
    running.says(&["listening"]);
    let soon = Duration::from_millis(100);
    let builder = Zibrato::builder().port(ports.at(0)).interval(soon).demand(false);
    let z = builder.flush_deadline(soon).build().unwrap();
    disk.fail(Errno::IO);
    count(&z, 1);
    running.says(&["event=\"journal_unwritable\""]);
    let status = running.stop(Signal::TERM);
    running.says(&["event=\"journal_not_written\"", "batches="]);
    assert_eq!(status.code(), Some(74), "{}", running.log());
}

#[test]
fn a_disk_with_errors_leaves_few_segments() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, ports) = (FailingDisk::new(dir.path()), Ports::take());
    let journal = dir.path().join("journal");
    let mut command = broker(&ports, &journal);
    disk.hold(&mut command);
    let mut running = Running::start(&mut command);
    running.says(&["listening"]);
    let z = publisher(&ports);
    disk.fail(Errno::IO);
    count(&z, 1);
    let failures = || {
        let page = Broker::page_at(ports.at(4), "/metrics");
        let name = "zibrato_broker_journal_failures_total ";
        page.lines().find_map(|line| line.strip_prefix(name)?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    wait_until(DEADLINE, "several failures", || failures() >= 4.0);
    disk.mend();
    assert_eq!(delivered(&z, DEADLINE), 1);
    let is_segment = |name: &str| name.ends_with(".zbj");
    let segments = || {
        let entries = std::fs::read_dir(&journal).unwrap();
        entries.filter(|e| e.as_ref().unwrap().file_name().to_str().is_some_and(is_segment)).count()
    };
    wait_until(DEADLINE, "the rest to be deleted", || segments() <= 2);
    assert!(running.stop(Signal::TERM).success());
}

/// Runs a command in the mount namespace of a process.
fn in_mounts_of(id: u32, args: &[&str]) -> bool {
    let mut command = Command::new("nsenter");
    command.args(["--mount", "--target", &id.to_string()]).args(args);
    Running::run(&mut command).0.success()
}

#[test]
fn the_broker_waits_for_an_unmounted_disk_and_writes_nothing_below() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    std::fs::create_dir(&source).unwrap();
    std::fs::create_dir(&target).unwrap();
    let ports = Ports::take();
    // The journal is the mounted folder itself, or a folder in it.
    for (journal, why) in
        [(target.clone(), "another folder"), (target.join("journal"), "not there")]
    {
        let plan = "mount --bind \"$0\" \"$1\" && shift && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", plan]);
        command.arg(&source).arg(&target);
        let broker = broker(&ports, &journal);
        command.arg(broker.get_program()).args(broker.get_args());
        let probe = ["--mount", "--propagation", "private", "true"];
        if !Running::run(Command::new("unshare").args(probe)).0.success() {
            eprintln!("skipped: this user may not mount");
            return;
        }
        let mut running = Running::start(&mut command);
        running.says(&["listening"]);
        let z = publisher(&ports);
        count(&z, 10);
        assert_eq!(delivered(&z, DEADLINE), 10);
        let [from, to] = [&source, &target].map(|path| path.to_str().unwrap());
        assert!(in_mounts_of(running.id(), &["umount", "--lazy", to]));
        count(&z, 10);
        running.says(&["event=\"journal_missing\"", why]);
        is_unready(&ports, "is missing: ");
        assert_eq!(delivered(&z, Duration::from_millis(1_500)), 10, "nothing is acknowledged");
        let below = || std::fs::read_dir(&target).unwrap().count();
        assert_eq!(below(), 0, "nothing is written to the disk below");
        assert!(in_mounts_of(running.id(), &["mount", "--bind", from, to]));
        assert_eq!(delivered(&z, DEADLINE), 20, "it goes on by itself");
        is_ready(&ports);
        assert!(running.stop(Signal::TERM).success());
        assert_eq!(below(), 0);
        let kept_in = source.join(journal.strip_prefix(&target).unwrap());
        assert_eq!(kept(&kept_in), 20.0);
        std::fs::remove_dir_all(&source).unwrap();
        std::fs::create_dir(&source).unwrap();
    }
}
