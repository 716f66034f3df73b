//! Tests of the probe. Those that set limits run in a separate process.
#![expect(unsafe_code, reason = "limits are set by a function of the C library")]

use super::{Resource, Resources, new_context};
use std::process::{Command, Output};

/// Tells the child process which limit to set and how much of the resource is left.
const LIMIT: &str = "ZIBRATO_TEST_LIMIT";

#[test]
fn an_ordinary_machine_has_enough_resources() {
    Resources::of_context(2).probe().unwrap();
    let context = new_context(2).unwrap();
    let sockets: Vec<_> = (0..2).map(|_| context.socket(zmq::SUB).unwrap()).collect();
    drop(sockets);
}

#[test]
fn probed_resources_are_released() {
    let needed =
        Resources { descriptors: 100, threads: 20, memory: 1 << 20, address_space: 1 << 30 };
    for _ in 0..20 {
        needed.probe().unwrap();
    }
}

#[test]
fn a_shortage_names_the_resource_and_a_remedy() {
    let memory = Resources { memory: usize::MAX / 4, ..Resources::default() };
    let refused = memory.probe().unwrap_err();
    assert_eq!(refused.resource, Resource::Memory);
    assert!(refused.to_string().contains("ulimit -v"), "{refused}");
}

/// The limit is only compared, so one byte makes the difference.
#[test]
fn too_little_address_space_is_reported_with_both_sizes() {
    let needed = Resources::address_space_of(8, 128 << 20);
    assert_eq!(needed, 768 << 20);
    for (limit, is_refused) in [(needed - 1, true), (needed, false), (libc::RLIM_INFINITY, false)] {
        let output = with_limit("address space", limit);
        let text = String::from_utf8_lossy(&output.stdout);
        let refusal = "too little memory: 768 MiB of address space are needed, and ulimit -v allows \
                       767 MiB";
        assert!(output.status.success(), "{limit}: {output:?}");
        assert_eq!(text.contains(refusal), is_refused, "{limit}: {text}");
    }
}

#[test]
fn few_descriptors_abort_no_program() {
    for left in 0..12 {
        let status = with_limit("descriptors", left).status;
        assert!(status.success(), "{left} descriptors left: {status}");
    }
}

#[test]
fn little_address_space_aborts_no_program() {
    for left in 1..40 {
        let status = with_limit("memory", left << 20).status;
        assert!(status.success(), "{left} MiB left: {status}");
    }
}

/// Runs only the test `limited`, with this much left of a resource.
fn with_limit(what: &str, left: u64) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "resources::tests::limited", "--nocapture"]);
    command.env(LIMIT, format!("{what} {left}")).output().unwrap()
}

/// The part that runs under the limit.
#[test]
fn limited() {
    let Ok(limit) = std::env::var(LIMIT) else { return };
    let (what, left) = limit.rsplit_once(' ').unwrap();
    let left: u64 = left.parse().unwrap();
    match what {
        // Descriptors are given from the lowest free number on.
        "descriptors" => {
            let lowest = std::fs::File::open("/dev/null").unwrap();
            let lowest = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&lowest)).unwrap();
            set(libc::RLIMIT_NOFILE, lowest + left);
        }
        "memory" => {
            let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
            let pages: u64 = pages.split_once(' ').unwrap().0.parse().unwrap();
            set(libc::RLIMIT_AS, pages * 4096 + left);
        }
        "address space" => {
            set(libc::RLIMIT_AS, left);
            let address_space = Resources::address_space_of(8, 128 << 20);
            let needed = Resources { address_space, ..Resources::default() };
            if let Err(refused) = needed.probe() {
                println!("{refused}");
            }
            return;
        }
        other => panic!("unknown limit {other}"),
    }
    if let Ok(context) = new_context(1) {
        drop(context.socket(zmq::SUB));
    }
}

fn set(resource: libc::__rlimit_resource_t, to: u64) {
    let limit = libc::rlimit { rlim_cur: to, rlim_max: to };
    // SAFETY: it reads one structure.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
}
