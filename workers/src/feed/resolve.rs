//! The thread `zb-resolve`: looks a host up and knocks, to tell why a broker is not there.
//!
//! A look-up has no deadline, so it has a thread of its own that nobody waits for.

use super::Broker;
use crate::thread::OwnedThread;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long somebody has to open the door.
const PATIENCE: Duration = Duration::from_secs(2);

/// Logs why nothing comes from a broker; `silent` is the reason when somebody listens there.
pub(super) fn explain(broker: Broker, silent: &'static str) -> Option<OwnedThread> {
    let Broker { host, port } = broker;
    let body = move || match (&*host, port).to_socket_addrs() {
        Err(why) => {
            let why = why.to_string();
            tracing::warn!(event = "unknown_host", host, why);
        }
        Ok(addresses) => {
            let mut knocks = addresses.map(|at| TcpStream::connect_timeout(&at, PATIENCE));
            let why = if knocks.any(|knock| knock.is_ok()) {
                silent
            } else {
                "nobody answers there; start the broker"
            };
            tracing::warn!(event = "no_broker", host, port, why);
        }
    };
    OwnedThread::spawn("zb-resolve", body, || ()).ok()
}
