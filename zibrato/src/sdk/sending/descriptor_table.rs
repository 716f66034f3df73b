//! File descriptors of the sender's own, which the application can neither close nor run out of.
//!
//! A daemon closes all descriptors that it does not know (`close_range(3, ~0, 0)`). Were those of
//! libzmq among them, it would abort the process, or write into a file of the application that got
//! the same number. So on Linux the sender's thread leaves the table of descriptors that threads of
//! a process share, before it makes its ZeroMQ context. libzmq's threads are begun by the sender's,
//! and share its table. The numbers start anew there, so that a limit (`ulimit -n`) that the
//! application has used up leaves room for the sender.
//!
//! The new table is empty. A copy of the application's descriptors would keep pipes and sockets
//! open that the application has closed, and their readers would never see the end. For the same
//! reason even standard output and error are not kept: what libzmq or a panic of the sender's
//! thread prints is lost. Code of the application that uses a descriptor must not run on the
//! sender's thread, which is one more reason why it takes no signals (see `thread.rs`).
//!
//! Where the system refuses (before Linux 5.9, where seccomp forbids `unshare` too, and on other
//! systems) the descriptors are shared, and must not be closed by the application.
#![expect(unsafe_code, reason = "the calls are those of the C library")]

/// The first number behind standard input, output and error.
#[cfg(target_os = "linux")]
const FIRST: libc::c_int = 3;

/// From now on the calling thread, and all threads that it begins, have descriptors of their own,
/// of which none is open. Says whether the system does so.
#[cfg(target_os = "linux")]
pub(crate) fn leave() -> bool {
    if !(leave_at_once() || leave_and_close()) {
        return false;
    }
    replace_standard_streams();
    true
}

#[cfg(not(target_os = "linux"))]
pub(crate) const fn leave() -> bool {
    false
}

/// One call does it since Linux 5.9.
#[cfg(target_os = "linux")]
fn leave_at_once() -> bool {
    // SAFETY: numbers alone. The descriptors of other threads stay what they are.
    unsafe {
        let (from, to) = (FIRST as libc::c_uint, libc::c_uint::MAX);
        libc::syscall(libc::SYS_close_range, from, to, libc::CLOSE_RANGE_UNSHARE) == 0
    }
}

/// Makes a copy of the table, and closes everything in it, as far as the limit of descriptors says
/// that there may be something.
#[cfg(target_os = "linux")]
fn leave_and_close() -> bool {
    // SAFETY: a number alone. The descriptors of other threads stay what they are.
    if unsafe { libc::unshare(libc::CLONE_FILES) } != 0 {
        return false;
    }
    const WORTH_WHILE: libc::rlim_t = 1 << 20;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it fills one structure.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    let end = libc::c_int::try_from(limit.rlim_cur.min(WORTH_WHILE)).unwrap_or(libc::c_int::MAX);
    // SAFETY: numbers of this thread's own table, in which nobody owns anything.
    unsafe { (FIRST..end).for_each(|descriptor| _ = libc::close(descriptor)) };
    true
}

/// Puts the reading end of a pipe in place of the standard streams: what is written there fails,
/// instead of getting into a socket that would have their numbers. `/dev/null` would do, too, but
/// is not always there.
#[cfg(target_os = "linux")]
fn replace_standard_streams() {
    let mut pipe = [-1; 2];
    // SAFETY: the three are this thread's alone, so nobody else uses or owns them; and two numbers
    // are written where there is room for them. With none open, the lowest are given: 0 and 1.
    unsafe {
        (0..FIRST).for_each(|stream| _ = libc::close(stream));
        if libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC) == 0 {
            let [reading, _] = pipe;
            (reading + 1..FIRST).for_each(|stream| _ = libc::dup2(reading, stream));
        }
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::{leave, leave_and_close, replace_standard_streams};
    use crate::sdk::sending::thread::Thread;
    use std::collections::BTreeSet;
    use std::io::{Read, Write};
    use std::sync::mpsc::sync_channel;

    /// What a thread has open.
    fn open() -> BTreeSet<String> {
        let entries = std::fs::read_dir("/proc/thread-self/fd").unwrap();
        let name = |entry: std::fs::DirEntry| entry.file_name().into_string().unwrap();
        entries.map(|entry| name(entry.unwrap())).collect()
    }

    /// Runs it on a thread of its own, which may leave the table.
    fn on_a_thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
        let (say, hear) = sync_channel(1);
        Thread::spawn(move || say.send(run()).unwrap()).unwrap().join();
        hear.try_recv().unwrap()
    }

    #[test]
    fn the_thread_has_nothing_open_and_all_others_what_they_had() {
        for leave in [leave, || {
            let left = leave_and_close();
            replace_standard_streams();
            left
        }] {
            let (mut reader, writer) = std::io::pipe().unwrap();
            let (say, hear) = sync_channel(1);
            let (leaves, left) = sync_channel::<()>(1);
            let thread = Thread::spawn(move || {
                assert!(leave());
                // The directory that is read is the fourth.
                say.send(open()).unwrap();
                left.recv().unwrap_err();
            });
            let theirs = hear.recv().unwrap();
            assert_eq!(theirs, ["0", "1", "2", "3"].map(str::to_owned).into());
            // The thread still runs, and yet nothing keeps the pipe open.
            (&writer).write_all(b"text").unwrap();
            drop(writer);
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "text");
            drop(leaves);
            thread.unwrap().join();
        }
    }

    #[test]
    fn what_is_printed_there_goes_nowhere_and_fails_nothing() {
        let fine = on_a_thread(|| {
            leave();
            std::io::stderr().write_all(b"lost\n").is_ok()
        });
        assert!(fine);
    }

    #[test]
    fn threads_begun_there_are_in_the_same_table() {
        let theirs = on_a_thread(|| {
            leave();
            let _file = std::fs::File::open("/proc/self/stat").unwrap();
            on_a_thread(open)
        });
        assert_eq!(theirs.len(), 5);
    }
}
