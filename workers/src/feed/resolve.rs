//! The thread `zb-resolve`: looks a host up and knocks, to tell why a broker is not there.
//!
//! A look-up has no deadline, so it has a thread of its own that nobody waits for.

use super::Broker;
use crate::thread::OwnedThread;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use zibrato::wire::Door;

/// How long somebody has to open the door.
const PATIENCE: Duration = Duration::from_secs(2);

/// Logs why nothing comes from a broker.
pub(super) fn explain(broker: Broker) -> Option<OwnedThread> {
    let body = move || {
        let Broker { host, port, curve } = broker;
        let key = curve.as_ref().map(|curve| curve.public_key().to_string());
        match knock(&host, port) {
            Err(why) => tracing::warn!(event = "unknown_host", host, %why),
            Ok(answered) => {
                let why = match (answered, &key) {
                    (false, _) => "nobody answers there; start the broker",
                    (true, None) => {
                        "somebody listens there but publishes nothing; give the broker's own \
                         port + 1, and keys if it encrypts"
                    }
                    (true, Some(_)) => {
                        "somebody listens there but lets nothing out; give the broker's own port + \
                         1, its public key as --server-key, and have this key among its allowed ones"
                    }
                };
                let key = key.unwrap_or_default();
                tracing::warn!(event = "no_broker", host, port, key, why);
            }
        }
    };
    OwnedThread::spawn("zb-resolve", body, || ()).ok()
}

/// Whether somebody answers.
fn knock(host: &str, port: u16) -> io::Result<bool> {
    if let Some(file) = Door::Subscribers.ipc_endpoint(host) {
        return Ok(UnixStream::connect(file.trim_start_matches("ipc://")).is_ok());
    }
    let addresses = (host, port).to_socket_addrs()?;
    Ok(addresses.into_iter().any(|at| TcpStream::connect_timeout(&at, PATIENCE).is_ok()))
}
