//! The thread `zb-resolve`: looks a host up and knocks, to tell why a broker is not there.
//!
//! A look-up has no deadline, so it has a thread of its own that nobody waits for.

use super::Broker;
use crate::thread::OwnedThread;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long somebody has to open the door.
const PATIENCE: Duration = Duration::from_secs(2);

/// Logs why nothing comes from a broker; `silent` is the reason when somebody listens there.
pub(super) fn explain(broker: Broker, silent: &'static str) -> Option<OwnedThread> {
    let body = move || match knock(&broker) {
        Err(why) => tracing::warn!(event = "unknown_host", host = broker.host, %why),
        Ok(answered) => {
            let Broker { host, port, curve, .. } = broker;
            let key = curve.map(|curve| curve.public_key().to_string()).unwrap_or_default();
            let why = if answered { silent } else { "nobody answers there; start the broker" };
            let keys = match (answered, key.is_empty()) {
                (false, _) => "",
                (true, true) => {
                    "if it encrypts, give its public key and a key of this worker's own"
                }
                (true, false) => {
                    "it has to have the key that --server-key names, and this one among its allowed"
                }
            };
            tracing::warn!(event = "no_broker", host, port, why, keys, key);
        }
    };
    OwnedThread::spawn("zb-resolve", body, || ()).ok()
}

/// Whether somebody answers.
fn knock(broker: &Broker) -> io::Result<bool> {
    if let Some(file) = broker.door.ipc_endpoint(&broker.host) {
        return Ok(UnixStream::connect(file.trim_start_matches("ipc://")).is_ok());
    }
    let mut addresses = (&*broker.host, broker.port).to_socket_addrs()?;
    Ok(addresses.any(|at| TcpStream::connect_timeout(&at, PATIENCE).is_ok()))
}
