//! The thread `zb-resolve`: looks a host up, to tell why a broker is not there.
//!
//! A look-up has no deadline, so it has a thread of its own that nobody waits for.

use crate::thread::OwnedThread;
use std::net::ToSocketAddrs;

/// Logs why the address of `host` is not known, if it is not.
pub(super) fn explain(host: String, port: u16) -> Option<OwnedThread> {
    let body = move || {
        if let Err(why) = (&*host, port).to_socket_addrs() {
            tracing::warn!(event = "unknown_host", host, %why);
        }
    };
    OwnedThread::spawn("zb-resolve", body, || ()).ok()
}
