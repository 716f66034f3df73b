//! The endpoints of a broker: each has a port over TCP, and a file in one folder over `ipc://`.

use core::net::Ipv6Addr;

/// One of the four endpoints of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "fixed by the wire")]
pub enum Endpoint {
    /// Publishers push.
    Publishers,
    /// Workers subscribe, and publishers receive acknowledgements.
    Subscribers,
    /// Workers fetch from the journal.
    Replay,
    /// Publishers of Python Zibrato 0.2 publish.
    Legacy,
}

impl Endpoint {
    /// All endpoints, in the order of their ports.
    pub const ALL: [Self; 4] = [Self::Publishers, Self::Subscribers, Self::Replay, Self::Legacy];

    /// Its port, as an offset from the broker's `--port`.
    #[must_use]
    pub const fn offset(self) -> u16 {
        match self {
            Self::Publishers => 0,
            Self::Subscribers => 1,
            Self::Replay => 2,
            Self::Legacy => 3,
        }
    }

    /// Its file in the folder of a broker that listens on `ipc://`.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Publishers => "publishers.sock",
            Self::Subscribers => "subscribers.sock",
            Self::Replay => "replay.sock",
            Self::Legacy => "legacy.sock",
        }
    }

    /// Its address at a host: a name, an address, or a folder as [`ipc_endpoint`](Self::ipc_endpoint)
    /// takes it, for which the port does not matter. `None` for anything else.
    ///
    /// ```
    /// use zibrato::wire::Endpoint;
    /// let address = Endpoint::Publishers.address("::1", 5550);
    /// assert_eq!(address.as_deref(), Some("tcp://[::1]:5550"));
    /// assert_eq!(Endpoint::Publishers.address("tcp://127.0.0.1", 5550), None);
    /// ```
    #[must_use]
    pub fn address(self, host: &str, port: u16) -> Option<String> {
        if let Some(file) = self.ipc_endpoint(host) {
            return Some(file);
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let (address, _zone) = bare.split_once('%').unwrap_or((bare, ""));
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if address.parse::<Ipv6Addr>().is_ok() {
            Some(format!("tcp://[{bare}]:{port}"))
        } else if bare.starts_with(|c: char| c.is_ascii_alphanumeric()) && bare.chars().all(is_name)
        {
            Some(format!("tcp://{bare}:{port}"))
        } else {
            None
        }
    }

    /// Its address in the folder of a host such as `ipc:///run/zibrato`. `None` for any other host,
    /// or if the path is too long for a socket.
    ///
    /// ```
    /// use zibrato::wire::Endpoint;
    /// let endpoint = Endpoint::Publishers.ipc_endpoint("ipc:///run/zibrato");
    /// assert_eq!(endpoint.as_deref(), Some("ipc:///run/zibrato/publishers.sock"));
    /// assert_eq!(Endpoint::Publishers.ipc_endpoint("127.0.0.1"), None);
    /// ```
    #[must_use]
    pub fn ipc_endpoint(self, host: &str) -> Option<String> {
        let folder = host.strip_prefix(IPC)?.trim_end_matches('/');
        let is_path = folder.starts_with('/') && !folder.contains('\0');
        let path = format!("{folder}/{}", self.file_name());
        (is_path && folder.len() <= MAX_FOLDER_BYTES).then(|| format!("{IPC}{path}"))
    }
}

/// Prefix of a host that is a folder on this machine.
const IPC: &str = "ipc://";

/// Maximum length of the folder: the path of a socket may have 107 bytes, of which the longest file
/// name and a slash take 17.
const MAX_FOLDER_BYTES: usize = 90;

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn a_name_begins_with_a_letter_or_a_digit_as_zeromq_demands() {
        let context = zmq::Context::new();
        for (host, is_host) in [
            ("broker.internal", true),
            ("web_1.", true),
            ("127.0.0.1", true),
            ("-", false),
            (".", false),
            ("_a", false),
            ("-a", false),
            ("", false),
            ("*", false),
        ] {
            let address = Endpoint::Publishers.address(host, 5550);
            assert_eq!(address.is_some(), is_host, "{host:?}");
            let socket = context.socket(zmq::PUSH).unwrap();
            socket.set_linger(0).unwrap();
            assert!(address.is_none_or(|address| socket.connect(&address).is_ok()), "{host:?}");
        }
    }

    #[test]
    fn a_folder_is_absolute_and_short_enough() {
        let endpoint = |host: &str| Endpoint::Subscribers.ipc_endpoint(host);
        let expected = Some("ipc:///a/subscribers.sock".to_owned());
        assert_eq!((endpoint("ipc:///a"), endpoint("ipc:///a/")), (expected.clone(), expected));
        for host in ["", "ipc://", "ipc:///", "ipc://a", "ipc:/a", "tcp://a", "/a", "ipc:///a\0"] {
            assert_eq!(endpoint(host), None, "{host:?}");
        }
        assert!(endpoint(&format!("ipc:///{}", "a".repeat(89))).is_some());
        assert_eq!(endpoint(&format!("ipc:///{}", "a".repeat(90))), None);
    }
}
