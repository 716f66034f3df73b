//! A start that fails leaves no thread and no descriptor behind.

use crate::harness::DEADLINE;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use zibrato_broker::{Broker, Config, Intake, IntakeError, JournalConfig, OpenIntake};

/// Set for the process in which descriptors run out.
const CHILD: &str = "ZIBRATO_TEST_CHILD";

/// Descriptors that are opened after the router's thread has started: two for each token, of which
/// the threads of the replay port and of an intake have one each.
const LATE: usize = 4;

/// An intake that, when it is opened, limits how many more descriptors the process can open.
#[derive(Debug, Default)]
struct Limits {
    more: Option<usize>,
    /// How many were open then.
    open: Arc<AtomicUsize>,
}

impl Intake for Limits {
    fn name(&self) -> &'static str {
        "limits"
    }

    fn open(&self) -> Result<OpenIntake, IntakeError> {
        let open = descriptors();
        self.open.store(open.len(), Ordering::Relaxed);
        if let Some(more) = self.more {
            let free = (0..).filter(|number| !open.contains(number));
            set_limit(free.take(more + 1).last());
        }
        Ok(OpenIntake::new("nowhere", |context| {
            while context.wait(&[]) {}
            Ok(())
        }))
    }
}

/// The numbers of the open descriptors of this process.
fn descriptors() -> BTreeSet<u64> {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    let open = open.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap());
    let open: Vec<u64> = open.collect();
    // One of them was for reading the folder.
    let is_open = |number: &u64| fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok();
    open.into_iter().filter(is_open).collect()
}

fn set_limit(current: Option<u64>) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

/// The names of this process's threads that belong to a broker or to libzmq.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("zb-") || name.starts_with("ZMQ")).collect()
}

/// Waits until the system has removed the threads that were joined.
#[track_caller]
fn no_thread_is_left() {
    let begun = Instant::now();
    while !threads().is_empty() {
        assert!(begun.elapsed() < DEADLINE, "{:?} are left", threads());
        std::thread::yield_now();
    }
}

/// Runs this test again in a process of its own, and returns whether this is not that process.
fn runs_in_a_child(test: &str) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return false;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.args(["--exact", test]).env(CHILD, "1").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    true
}

#[test]
fn without_descriptors_for_its_last_threads_it_ends_the_first() {
    if runs_in_a_child("start::without_descriptors_for_its_last_threads_it_ends_the_first") {
        return;
    }
    let limit = getrlimit(Resource::Nofile).current;
    let dir = tempfile::tempdir().unwrap();
    let start = |intake| {
        let journal = JournalConfig::new(dir.path()).min_free_percent(0.0);
        Broker::start(Config::new().port(0).journal(journal).intake(intake))
    };
    let first = Limits::default();
    let at_open = Arc::clone(&first.open);
    let broker = start(first).unwrap();
    let needed = descriptors().len() - at_open.load(Ordering::Relaxed);
    drop(broker);
    no_thread_is_left();
    let before = descriptors();
    // A thread may have had a file open when `needed` was counted, so that fewer are enough.
    let (mut failures, mut more) = (0, needed);
    while failures < LATE {
        let started = start(Limits { more: Some(more), ..Limits::default() });
        set_limit(limit);
        failures += usize::from(started.is_err());
        drop(started);
        no_thread_is_left();
        assert_eq!(descriptors(), before, "with {more} more");
        more -= 1;
    }
}
