//! A program with its own work, which is exposed to a fault that no instrument expects: `surviving
//! PORT FOLDER FAULT WHEN FORK`.
//!
//! It writes files, and checks at the end that each contains what it wrote. The process reports to
//! a file in the folder, `parent` or `child`, and exits with 0 if its own work is done.

#![expect(clippy::unwrap_used, reason = "a program of tests, which fails so")]
#![expect(unsafe_code, reason = "what happens to it are calls of the C library")]

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zibrato::{Guard, Zibrato, count};

/// Number of lines that the program writes in each part of its life.
const LINES: usize = 50;

/// Timeout of each wait, and of the whole program.
const TIMEOUT: Duration = Duration::from_secs(40);
const LIFE: u32 = 60;

fn main() {
    let args: Vec<_> = std::env::args().collect();
    let [_, port, folder, fault, when, fork_how] = &args[..] else { panic!("five arguments") };
    let port = port.parse().unwrap();
    // SAFETY: the argument is a number.
    unsafe { libc::alarm(LIFE) };
    let fault = Fault::named(fault);
    fault.prepare();
    // Opened before the instrument, which must not keep it open.
    let (mut end, pipe) = std::io::pipe().unwrap();
    let mut work = Work::begin(Path::new(folder), "parent");
    if when == "before" {
        fault.strike(&mut work);
    }
    let mut guard = install(port);
    work.go_on(&guard);
    if when == "between" {
        settle(&guard);
        fault.strike(&mut work);
    }
    let mut who = "parent";
    match fork_how.as_str() {
        "none" => {}
        "child" => {
            if fork() == 0 {
                who = "child";
                work = Work::begin(Path::new(folder), who);
            }
        }
        // Like daemons: leaves the session, and closes all unknown descriptors.
        "daemon" => {
            if fork() == 0 {
                who = "child";
                rustix::process::setsid().unwrap();
                Fault::CloseRange(3).strike(&mut work);
                work = Work::begin(Path::new(folder), who);
            }
        }
        other => panic!("no fork {other}"),
    }
    work.go_on(&guard);
    if when == "after" {
        settle(&guard);
        fault.strike(&mut work);
    }
    work.go_on(&guard);
    if matches!(fault, Fault::CloseRange(_)) || who == "child" && fork_how == "daemon" {
        // These descriptors are closed, and their numbers may belong to other files.
        std::mem::forget((end, pipe));
    } else {
        drop(pipe);
        assert_eq!(end.read(&mut [0]).unwrap(), 0);
    }
    work.says("struck");
    work.waits_for("mend");
    fault.mend();
    let begun = Instant::now();
    while guard.is_none() && begun.elapsed() < TIMEOUT {
        guard = install(port);
    }
    work.go_on(&guard);
    let Some(guard) = guard else { panic!("no instrument, although the fault is repaired") };
    let handle = guard.handle();
    while handle.flush(Duration::from_millis(100)).pending > 0 && begun.elapsed() < TIMEOUT {
        count!("info", "poke");
    }
    let stats = guard.shutdown();
    let mut report = String::new();
    write!(report, "{} {} {} ", work.counted, stats.recorded, stats.delivered).unwrap();
    write!(report, "{} {}", stats.total_lost(), stats.balances()).unwrap();
    work.end();
    if who == "parent" && fork_how != "none" {
        let (_, status) =
            rustix::process::wait(rustix::process::WaitOptions::empty()).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(0), "the child ended with {status:?}");
    }
    std::fs::write(Path::new(folder).join(who), report).unwrap();
}

/// Waits until the sender has opened its sockets. Between its check of the resources and their use
/// by libzmq, no other code may use them up.
fn settle(guard: &Option<Guard>) {
    if let Some(guard) = guard {
        guard.handle().flush(Duration::from_secs(2));
    }
}

/// An instrument, if there are enough resources. The program continues without one.
fn install(port: u16) -> Option<Guard> {
    let builder = Zibrato::builder().port(port).interval(Duration::from_millis(100));
    let builder = builder.flush_deadline(Duration::from_secs(5)).demand(false);
    match builder.install() {
        Ok(guard) => Some(guard),
        Err(error) => {
            // An error while writing this is ignored.
            writeln!(std::io::stderr(), "{error:?}").ok();
            None
        }
    }
}

/// The work of the program: lines in files. One file is opened again for each line, others stay
/// open.
struct Work {
    folder: PathBuf,
    who: &'static str,
    parts: Vec<(PathBuf, File)>,
    lines: usize,
    /// Number of lines that were counted.
    counted: usize,
}

impl Work {
    fn begin(folder: &Path, who: &'static str) -> Self {
        Self { folder: folder.to_owned(), who, parts: Vec::new(), lines: 0, counted: 0 }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.lines", self.who))
    }

    fn go_on(&mut self, guard: &Option<Guard>) {
        for _ in 0..LINES {
            self.lines += 1;
            let mut file = OpenOptions::new().create(true).append(true).open(self.path()).unwrap();
            writeln!(file, "line {}", self.lines).unwrap();
            count!("info", "work");
            self.counted += usize::from(guard.is_some());
        }
        for (_, file) in &mut self.parts {
            file.write_all(b"more\n").unwrap();
        }
        // Only if the limit allows one more descriptor, which the program needs.
        let path = self.folder.join(format!("{}.{}", self.who, self.lines));
        if let (Ok(mut file), Ok(_)) = (File::create(&path), File::open("/dev/null")) {
            file.write_all(b"more\n").unwrap();
            self.parts.push((path, file));
        }
    }

    /// Files whose descriptors were closed no longer belong to this program.
    fn forget_open(&mut self) {
        self.parts.drain(..).for_each(|(_, file)| std::mem::forget(file));
    }

    fn says(&self, what: &str) {
        std::fs::write(self.folder.join(format!("{}.{what}", self.who)), "").unwrap();
    }

    fn waits_for(&self, what: &str) {
        let begun = Instant::now();
        while !self.folder.join(what).exists() {
            assert!(begun.elapsed() < TIMEOUT, "timeout: {what}");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Every file contains what was written to it, and nothing else.
    fn end(&self) {
        let text = std::fs::read_to_string(self.path()).unwrap();
        let expected: String = (1..=self.lines).map(|n| format!("line {n}\n")).collect();
        assert_eq!(text, expected);
        for (path, _) in &self.parts {
            let text = std::fs::read_to_string(path).unwrap();
            assert!(!text.is_empty() && text.lines().all(|line| line == "more"), "{text:?}");
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Nothing,
    /// This number of descriptors more than are open.
    Descriptors(u64),
    /// The limit of descriptors is used up except for one.
    DescriptorsUsed,
    /// One thread more than exist.
    Threads,
    /// This number of bytes of address space more than are in use.
    Memory(u64),
    SignalsBlocked,
    /// All descriptors from this one on are closed.
    CloseRange(u32),
    /// A sandbox that forbids the system calls for a separate descriptor table.
    NoTable,
}

impl Fault {
    fn named(name: &str) -> Self {
        let (name, number) = name.split_once('=').unwrap_or((name, "0"));
        let number: u64 = number.parse().unwrap();
        match name {
            "nothing" => Self::Nothing,
            "descriptors" => Self::Descriptors(number),
            "descriptors_used" => Self::DescriptorsUsed,
            "threads" => Self::Threads,
            "memory_mib" => Self::Memory(number << 20),
            "signals_blocked" => Self::SignalsBlocked,
            "close_range" => Self::CloseRange(u32::try_from(number).unwrap()),
            "no_table" => Self::NoTable,
            other => panic!("no fault {other}"),
        }
    }

    fn prepare(self) {
        // Root can start any number of threads, so this becomes another user, who has no other
        // processes.
        if self == Self::Threads && rustix::process::getuid().is_root() {
            let id = 60_000 + std::process::id() % 5_000;
            // SAFETY: the arguments are numbers, in a process with one thread.
            assert_eq!(unsafe { libc::setgid(id) | libc::setuid(id) }, 0);
        }
    }

    fn strike(self, work: &mut Work) {
        match self {
            Self::Nothing => {}
            Self::Descriptors(more) => limit(Resource::Nofile, lowest_free() + more),
            Self::DescriptorsUsed => {
                let mut files = Vec::new();
                limit(Resource::Nofile, lowest_free() + 16);
                files.extend(std::iter::from_fn(|| File::open("/dev/null").ok()));
                files.pop();
                std::mem::forget(files);
            }
            Self::Threads => limit(Resource::Nproc, threads() + 1),
            Self::Memory(more) => {
                let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
                let pages: u64 = statm.split_once(' ').unwrap().0.parse().unwrap();
                limit(Resource::As, pages * 4096 + more);
            }
            Self::SignalsBlocked => block_signals(),
            Self::CloseRange(from) => {
                work.forget_open();
                // SAFETY: the arguments are numbers. The owners of these descriptors no longer use
                // them.
                let code = unsafe { libc::syscall(libc::SYS_close_range, from, u32::MAX, 0) };
                assert_eq!(code, 0);
            }
            Self::NoTable => forbid(&[libc::SYS_close_range, libc::SYS_unshare]),
        }
    }

    fn mend(self) {
        for resource in [Resource::Nofile, Resource::Nproc, Resource::As] {
            let maximum = getrlimit(resource).maximum;
            setrlimit(resource, Rlimit { current: maximum, maximum }).unwrap();
        }
    }
}

fn limit(resource: Resource, to: u64) {
    let maximum = getrlimit(resource).maximum;
    setrlimit(resource, Rlimit { current: Some(to), maximum }).unwrap();
}

fn lowest_free() -> u64 {
    use std::os::fd::AsRawFd;
    File::open("/dev/null").unwrap().as_raw_fd().try_into().unwrap()
}

/// The number of threads of the user. In a child, this includes that of the parent.
fn threads() -> u64 {
    std::fs::read_dir("/proc/self/task").unwrap().count() as u64
}

/// From now on these calls fail with `EPERM`.
fn forbid(calls: &[libc::c_long]) {
    let step = |code: u32, k, jt| libc::sock_filter { code: code as u16, jt, jf: 0, k };
    let compare = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    // The number of the call is first. A match skips the other comparisons and the first result.
    let mut filter = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (call, behind) in calls.iter().zip((0..calls.len()).rev()) {
        filter.push(step(
            compare,
            u32::try_from(*call).unwrap(),
            u8::try_from(behind + 1).unwrap(),
        ));
    }
    filter.push(step(answer, libc::SECCOMP_RET_ALLOW, 0));
    filter.push(step(answer, libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned(), 0));
    let program =
        libc::sock_fprog { len: u16::try_from(filter.len()).unwrap(), filter: filter.as_mut_ptr() };
    // SAFETY: the program is complete, and the kernel copies it.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program),
            0
        );
    }
}

fn block_signals() {
    let mut all = std::mem::MaybeUninit::uninit();
    // SAFETY: the value is written before it is used.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        // Except the signal that ends a program that hangs.
        libc::sigdelset(all.as_mut_ptr(), libc::SIGALRM);
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut());
    }
}

fn fork() -> i32 {
    // SAFETY: the child continues with code that this program tests: the SDK must support this.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "no fork: {}", std::io::Error::last_os_error());
    if pid == 0 {
        // SAFETY: the argument is a number.
        unsafe { libc::alarm(LIFE) };
    }
    pid
}
