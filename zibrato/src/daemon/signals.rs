//! Signals that the parent has blocked or ignored, and the limit of descriptors.
//!
//! Masks and ignored signals pass through `exec`: a program would be deaf to TERM because whoever
//! started it was.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::mem::MaybeUninit;
use std::ptr;

/// Those that end a daemon, and HUP.
const HEARD: [libc::c_int; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// Hears the signals that end a program, whatever its parent has blocked or ignored; only HUP
/// stays ignored, as `nohup` wants it. A file that may not grow (`ulimit -f`) gives an error in
/// place of a signal that ends the process. To be called before there are other threads.
#[expect(unsafe_code, reason = "signals are set by functions of the C library")]
pub(super) fn reset() {
    let mut heard = MaybeUninit::uninit();
    // SAFETY: `heard` is filled before it is used, and what is added to it are signals. The actions
    // are the system's own, and no other thread sets any now.
    unsafe {
        libc::sigemptyset(heard.as_mut_ptr());
        HEARD.iter().for_each(|signal| _ = libc::sigaddset(heard.as_mut_ptr(), *signal));
        for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
            libc::signal(signal, libc::SIG_DFL);
        }
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        // Last: what was sent before is heard now.
        libc::pthread_sigmask(libc::SIG_UNBLOCK, heard.as_ptr(), ptr::null_mut());
    }
}

/// Whether HUP is ignored, as it is below `nohup`.
#[expect(unsafe_code, reason = "signals are asked for by functions of the C library")]
pub(super) fn hangup_is_ignored() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a signal, no new action, and room for the one that there is, which is read only when
    // it was written.
    unsafe {
        libc::sigaction(libc::SIGHUP, ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// Lets the process open as many descriptors as its hard limit allows. The soft one is mostly 1024
/// for the sake of `select`, which nothing here calls.
pub(super) fn raise_descriptor_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if let Err(error) = raised {
        tracing::debug!(event = "descriptor_limit", %error);
    }
}

#[cfg(test)]
mod tests {
    use super::{getrlimit, hangup_is_ignored, raise_descriptor_limit};
    use rustix::process::Resource;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        raise_descriptor_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }

    #[test]
    fn hup_is_heard_unless_it_is_ignored() {
        assert!(!hangup_is_ignored());
    }
}
