//! Reports the state of a daemon to systemd, if a unit with `Type=notify` started it.
//!
//! Each message is one datagram to the socket that `NOTIFY_SOCKET` names. Without that variable
//! nothing is sent. Decision 34 says why no library does this.

use super::text::one_line;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

/// Interval of liveness checks without a watchdog.
const BEAT: Duration = Duration::from_secs(5);

/// The connection to systemd.
///
/// ```
/// use zibrato::daemon::Systemd;
/// let systemd = Systemd::from_env();
/// systemd.ready("listening on port 5550");
/// // In the main loop, at least every `systemd.beat()`, while the daemon does its work:
/// systemd.alive();
/// systemd.stopping();
/// ```
pub struct Systemd {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Systemd {
    /// The connection that the environment of this process names.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var_os(name), std::process::id())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>, process: u32) -> Self {
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(process));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0);
        let socket = variable("NOTIFY_SOCKET").and_then(|name| {
            let opened = open(&name).inspect_err(|why| {
                tracing::warn!(event = "no_systemd", socket = ?name, %why);
            });
            opened.ok()
        });
        Self { socket, watchdog: watchdog.map(Duration::from_micros) }
    }

    /// Interval in which to call [`alive`](Self::alive): several times within the unit's
    /// `WatchdogSec=`, and at least every five seconds.
    #[must_use]
    pub fn beat(&self) -> Duration {
        self.watchdog.map_or(BEAT, |watchdog| (watchdog / 4).min(BEAT))
    }

    /// Reports that the daemon has started; `status` is a short description of its state.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// Reports the state that `systemctl status` shows.
    pub fn status(&self, status: &str) {
        self.tell(&format!("STATUS={}", one_line(status)));
    }

    /// Reports that the daemon works. systemd restarts it if there is no report for `WatchdogSec=`.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            self.tell("WATCHDOG=1");
        }
    }

    /// Reports that the daemon has begun to stop.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, message: &str) {
        let Some((socket, address)) = &self.socket else { return };
        if let Err(why) = socket.send_to_addr(message.as_bytes(), address) {
            tracing::debug!(event = "systemd_not_told", %why);
        }
    }
}

impl fmt::Debug for Systemd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Systemd")
            .field("listens", &self.socket.is_some())
            .field("watchdog", &self.watchdog)
            .finish()
    }
}

/// A name that begins with `@` is in Linux's abstract namespace.
fn open(name: &OsString) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes().split_first() {
        #[cfg(target_os = "linux")]
        Some((b'@', name)) => {
            use std::os::linux::net::SocketAddrExt;
            SocketAddr::from_abstract_name(name)?
        }
        _ => SocketAddr::from_pathname(Path::new(name))?,
    };
    let socket = UnixDatagram::unbound()?;
    // A receiver that does not read must not block the daemon.
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::Systemd;
    use std::ffi::OsString;
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    fn received(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 1000];
        let read = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..read].to_vec()).unwrap()
    }

    #[test]
    fn each_report_is_a_datagram() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        listener.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let systemd = Systemd::from_variables(
            |name| match name {
                "NOTIFY_SOCKET" => Some(path.clone().into()),
                "WATCHDOG_USEC" => Some("4000000".into()),
                "WATCHDOG_PID" => Some("7".into()),
                _ => None,
            },
            7,
        );
        assert_eq!(systemd.beat(), Duration::from_secs(1));
        systemd.ready("port\n5550");
        systemd.alive();
        systemd.stopping();
        assert_eq!(received(&listener), "READY=1\nSTATUS=port 5550");
        assert_eq!(received(&listener), "WATCHDOG=1");
        assert_eq!(received(&listener), "STOPPING=1");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_that_begins_with_an_at_sign_is_an_abstract_socket() {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("zibrato-test-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        listener.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let variable = |known: &str| (known == "NOTIFY_SOCKET").then(|| format!("@{name}").into());
        Systemd::from_variables(variable, 7).ready("fine");
        assert_eq!(received(&listener), "READY=1\nSTATUS=fine");
    }

    #[test]
    fn a_stalled_listener_does_not_block() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _listener = UnixDatagram::bind(&path).unwrap();
        let variable = |name: &str| (name == "NOTIFY_SOCKET").then(|| path.clone().into());
        let systemd = Systemd::from_variables(variable, 7);
        // More than a socket's buffer holds.
        (0..5_000).for_each(|_| systemd.status(&"x".repeat(200)));
    }

    #[test]
    fn nothing_is_sent_without_systemd_or_for_the_watchdog_of_another_process() {
        let systemd = Systemd::from_variables(|_| None, 7);
        systemd.ready("fine");
        systemd.alive();
        let other = |name: &str| (name != "NOTIFY_SOCKET").then(|| OsString::from("8"));
        assert_eq!(Systemd::from_variables(other, 7).watchdog, None);
        let gone = |name: &str| (name == "NOTIFY_SOCKET").then(|| OsString::from("/nowhere/x"));
        Systemd::from_variables(gone, 7).stopping();
    }
}
