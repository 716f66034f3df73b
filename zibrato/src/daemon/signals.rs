//! Unblocks signals that the parent has blocked or ignored, and raises the descriptor limit.
//!
//! Signal masks and ignored signals are inherited through `exec`. A program would ignore TERM
//! because its parent did.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::mem::MaybeUninit;
use std::ptr;

/// The signals that end a daemon, and HUP.
const HANDLED: [libc::c_int; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// Unblocks the signals that end a program and restores their default actions. Only HUP stays
/// ignored, for `nohup`. SIGXFSZ is ignored, so that a file beyond `ulimit -f` gives an error and
/// does not end the process. Call this before there are other threads.
#[expect(unsafe_code, reason = "signals are set by functions of the C library")]
pub(super) fn reset() {
    let mut handled = MaybeUninit::uninit();
    // SAFETY: `handled` is initialized before it is used, and only valid signals are added to it. The
    // actions are the system's defaults, and no other thread sets actions now.
    unsafe {
        libc::sigemptyset(handled.as_mut_ptr());
        HANDLED.iter().for_each(|signal| _ = libc::sigaddset(handled.as_mut_ptr(), *signal));
        for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
            libc::signal(signal, libc::SIG_DFL);
        }
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        // Last, because signals that are pending are delivered now.
        libc::pthread_sigmask(libc::SIG_UNBLOCK, handled.as_ptr(), ptr::null_mut());
    }
}

/// Whether HUP is ignored, as under `nohup`.
#[expect(unsafe_code, reason = "signals are asked for by functions of the C library")]
pub(super) fn hangup_is_ignored() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a valid signal, no new action, and a buffer for the current one, which is read only
    // if it was written.
    unsafe {
        libc::sigaction(libc::SIGHUP, ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// Raises the soft descriptor limit to the hard limit. The soft limit is usually 1024 because of
/// `select`, which is not used here.
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
    fn hup_is_handled_unless_it_is_ignored() {
        assert!(!hangup_is_ignored());
    }
}
