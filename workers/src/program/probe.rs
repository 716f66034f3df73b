//! Connects to the backend once while the worker starts, so that a wrong host is logged before the
//! first window ends.

use crate::backend::{Greeting, Hindrance, Target};
use crate::thread::OwnedThread;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use zibrato::daemon::look_up;

/// Timeout of a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Maximum number of addresses that are tried.
const MOST_ADDRESSES: usize = 4;

/// Connects to a target.
pub(super) fn connects_to(target: Target) -> Greeting {
    Box::new(move || reach(&target).map_err(|why| Hindrance::new("backend_unreachable", why)))
}

/// Starts a thread that logs a warning if nothing can be delivered. It ends by itself.
pub(super) fn start(greeting: Greeting) -> Option<OwnedThread> {
    let body = move || {
        if let Err(Hindrance { event, why }) = greeting() {
            let what = "the worker keeps trying";
            tracing::warn!(event, why, what);
        }
    };
    let started = OwnedThread::spawn("zb-probe", body, || ());
    started.inspect_err(|why| tracing::debug!(event = "no_probe", %why)).ok()
}

/// Connects once. The error is a sentence that names the flag.
pub(super) fn reach(target: &Target) -> Result<(), String> {
    let addresses = look_up(&target.flag, &target.host, target.port)?;
    if !target.connects && !addresses.is_empty() {
        return Ok(());
    }
    connect(target, &addresses)
}

/// Connects to one of the addresses of a target. The error is a sentence that names the flag.
pub(crate) fn connect(target: &Target, addresses: &[SocketAddr]) -> Result<(), String> {
    let Target { flag, host, port, .. } = target;
    let mut why = format!("{flag}: the host {host} has no address");
    for address in addresses.iter().take(MOST_ADDRESSES) {
        match TcpStream::connect_timeout(address, CONNECT) {
            Ok(_) => return Ok(()),
            Err(error) => why = format!("{flag}: cannot connect to {host}:{port}: {error}"),
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::{Target, reach};
    use std::net::TcpListener;

    #[test]
    fn an_unreachable_host_is_reported_with_its_flag() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(reach(&Target::new("--carbon", "127.0.0.1", port)), Ok(()));
        drop(listener);
        let why = reach(&Target::new("--carbon", "127.0.0.1", port)).unwrap_err();
        assert_eq!(reach(&Target::new("--carbon", "127.0.0.1", port).without_connection()), Ok(()));
        let expected = format!("--carbon: cannot connect to 127.0.0.1:{port}: Connection refused");
        assert!(why.starts_with(&expected), "{why}");
        let why = reach(&Target::new("--carbon", "nowhere.invalid", 1)).unwrap_err();
        assert!(why.starts_with("--carbon: the host nowhere.invalid cannot be looked up"), "{why}");
    }
}
