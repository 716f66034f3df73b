//! A separate table of file descriptors for the sender, which the application can neither close nor
//! exhaust.
//!
//! A daemon closes all descriptors that it does not know (`close_range(3, ~0, 0)`). If those of
//! libzmq were among them, libzmq would abort the process, or write into a file of the application
//! that got the same number. So on Linux the sender's thread leaves the table of descriptors that
//! the threads of a process share, before it creates its ZeroMQ context. libzmq's threads are
//! started by the sender's thread, and share its table. The numbers in the new table start again
//! from zero, so the sender is not affected if the application has reached its limit (`ulimit -n`).
//!
//! The new table is empty. A copy of the application's descriptors would keep pipes and sockets
//! open that the application has closed, and their readers would never see the end. For the same
//! reason not even standard output and error are kept: output of libzmq, or of a panic of the
//! sender's thread, is lost. Code of the application that uses a descriptor must not run on the
//! sender's thread, which is another reason why this thread blocks signals (see `thread.rs`).
//!
//! If the system does not support this (before Linux 5.9 if seccomp forbids `unshare` too, and on
//! other systems), the descriptors are shared, and the application must not close them.
#![expect(unsafe_code, reason = "the calls are those of the C library")]

/// The first number after standard input, output and error.
#[cfg(target_os = "linux")]
const FIRST: libc::c_int = 3;

/// Gives the calling thread, and all threads that it starts, a new empty table of descriptors.
/// Returns whether the system supports that.
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

/// Uses one system call, which exists since Linux 5.9.
#[cfg(target_os = "linux")]
fn leave_at_once() -> bool {
    // SAFETY: the call takes only numbers. The descriptors of other threads are not affected.
    unsafe {
        let (from, to) = (FIRST as libc::c_uint, libc::c_uint::MAX);
        libc::syscall(libc::SYS_close_range, from, to, libc::CLOSE_RANGE_UNSHARE) == 0
    }
}

/// Copies the table, and closes everything in the copy, up to the limit of descriptors.
#[cfg(target_os = "linux")]
fn leave_and_close() -> bool {
    // SAFETY: the call takes only a number. The descriptors of other threads are not affected.
    if unsafe { libc::unshare(libc::CLONE_FILES) } != 0 {
        return false;
    }
    const WORTH_WHILE: libc::rlim_t = 1 << 20;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call fills one structure.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    let end = libc::c_int::try_from(limit.rlim_cur.min(WORTH_WHILE)).unwrap_or(libc::c_int::MAX);
    // SAFETY: the numbers are of this thread's own table, in which no other code owns a descriptor.
    unsafe { (FIRST..end).for_each(|descriptor| _ = libc::close(descriptor)) };
    true
}

/// Replaces the standard streams by the reading end of a pipe, so that writing to them fails.
/// Otherwise the output could get into a socket with one of their numbers. `/dev/null` would do as
/// well, but does not always exist.
#[cfg(target_os = "linux")]
fn replace_standard_streams() {
    let mut pipe = [-1; 2];
    // SAFETY: the three descriptors belong to this thread alone, so no other code uses them; and
    // there is room for the two numbers that are written. The lowest numbers are assigned first: 0
    // and 1.
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

    /// The open descriptors of this thread.
    fn open() -> BTreeSet<String> {
        let entries = std::fs::read_dir("/proc/thread-self/fd").unwrap();
        let name = |entry: std::fs::DirEntry| entry.file_name().into_string().unwrap();
        entries.map(|entry| name(entry.unwrap())).collect()
    }

    /// Runs `run` on a new thread, which may leave the table.
    fn on_a_thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = sync_channel(1);
        Thread::spawn(c"test", move || sender.send(run()).unwrap()).unwrap().join();
        receiver.try_recv().unwrap()
    }

    #[test]
    fn the_thread_has_nothing_open_and_all_others_what_they_had() {
        for leave in [leave, || {
            let left = leave_and_close();
            replace_standard_streams();
            left
        }] {
            let (mut reader, writer) = std::io::pipe().unwrap();
            let (sender, receiver) = sync_channel(1);
            let (leaves, left) = sync_channel::<()>(1);
            let thread = Thread::spawn(c"test", move || {
                assert!(leave());
                // The fourth is the directory that is being read.
                sender.send(open()).unwrap();
                left.recv().unwrap_err();
            });
            let theirs = receiver.recv().unwrap();
            assert_eq!(theirs, ["0", "1", "2", "3"].map(str::to_owned).into());
            // The thread is still running, but does not keep the pipe open.
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
