//! The API key of a hosted Graphite, with which every name begins on the wire.
//!
//! It is a secret. Payloads, their keys and dead letters have names without it; it is added to what
//! is written.

use super::address::{Address, Protocol};
use crate::secret::{GivenSecret, Secret};
use std::net::IpAddr;
use std::path::PathBuf;
use zibrato::daemon::{Exit, Failure};

/// Maximum length of a key. Names have at most 16,000 bytes, so a line with a key fits into the
/// 16,384 bytes that Carbon reads.
const MAX_KEY_BYTES: usize = 255;

/// The flags of `zibrato-carbon` about the key.
#[derive(Debug, Clone, Default, clap::Args)]
#[non_exhaustive]
pub struct ApiKeyFlags {
    /// API key of a hosted Graphite, with which every name begins on the wire. Prefer --api-key-file
    /// or a variable: other users can see a command line
    #[arg(long, value_name = "KEY", hide_env_values = true)]
    pub api_key: Option<Secret>,

    /// File that contains the API key
    #[arg(long, value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
}

impl ApiKeyFlags {
    /// The key, if one is given. An empty one is a mistake: a hosted Graphite discards names without
    /// the key.
    pub(super) fn read(self) -> Result<Option<ApiKey>, Failure> {
        if self.api_key.as_ref().is_some_and(|key| key.expose().is_empty()) {
            let message = "--api-key: the API key is empty; omit the flag and its variable if no key \
                           is needed";
            return Err(Failure::new(Exit::Config, message));
        }
        let given = Secret::from_flag("--api-key", self.api_key, self.api_key_file)?;
        given.map(ApiKey::parse).transpose()
    }
}

/// A valid key.
#[derive(Debug, Clone)]
// Invariant: the key and a dot; the key has visible ASCII characters, and none that separates parts
// of names, tags or fields.
pub(super) struct ApiKey(Secret);

impl ApiKey {
    pub(super) fn parse(given: GivenSecret) -> Result<Self, Failure> {
        let GivenSecret { secret, from } = given;
        let key = secret.expose();
        let wrong = |why: &str| Err(Failure::new(Exit::Config, format!("{from}: {why}")));
        if key.is_empty() {
            return wrong("the API key is empty");
        }
        if key.len() > MAX_KEY_BYTES {
            return wrong("the API key has more than 255 characters; give the key alone");
        }
        if key.contains('.') {
            return wrong(
                "the API key contains a dot; give the key alone, without the dot after it",
            );
        }
        if key.contains(char::is_whitespace) {
            return wrong("the API key contains a blank; give the key alone, on one line");
        }
        if !key.chars().all(|c| c.is_ascii_graphic() && !";/".contains(c)) {
            return wrong("the API key contains a character that cannot be part of a name");
        }
        Ok(Self(Secret::new(format!("{key}."))))
    }

    /// What stands before each name: the key and a dot.
    pub(super) fn before_names(&self) -> &str {
        self.0.expose()
    }
}

/// What is wrong with sending the key to an address, if anything is.
pub(super) fn doubt(address: &Address) -> Option<&'static str> {
    let is_plain = match address.protocol() {
        Protocol::Tcp | Protocol::Udp | Protocol::Pickle => true,
        Protocol::Tls | Protocol::PickleTls => false,
    };
    let host = address.host();
    let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    (is_plain && !is_local).then_some(
        "the API key is sent unencrypted, so the network can read it; use tls:// or pickle+tls://",
    )
}

#[cfg(test)]
mod tests {
    use super::{ApiKey, ApiKeyFlags, doubt};
    use crate::secret::{GivenSecret, Secret};

    fn parse(key: &str) -> Result<ApiKey, String> {
        let given = GivenSecret { secret: Secret::new(key), from: "--api-key".to_owned() };
        ApiKey::parse(given).map_err(|failure| failure.message)
    }

    #[test]
    fn a_key_is_one_part_of_a_name_and_no_error_shows_it() {
        let key = parse("b65d8a7e-2b1d-4e4f").unwrap();
        assert_eq!(
            (key.before_names(), &*format!("{key:?}")),
            ("b65d8a7e-2b1d-4e4f.", "ApiKey(***)")
        );
        for (bad, why) in [
            ("", "is empty"),
            ("hunter2.", "contains a dot"),
            ("hunter2 hunter3", "contains a blank"),
            ("hunter2\nhunter3", "contains a blank"),
            ("hunter2;a=b", "contains a character"),
            ("hünter2", "contains a character"),
            ("hunter2\u{7f}", "contains a character"),
            (&"hunter2".repeat(40), "more than 255"),
        ] {
            let error = parse(bad).unwrap_err();
            assert!(error.starts_with("--api-key: the API key ") && error.contains(why), "{error}");
            assert!(!error.contains("nter2"), "{error}");
        }
    }

    #[test]
    fn an_empty_key_is_not_the_same_as_none() {
        let read = |key: Option<&str>| {
            let flags = ApiKeyFlags { api_key: key.map(Secret::new), api_key_file: None };
            flags.read().map(|key| key.is_some()).map_err(|failure| failure.message)
        };
        assert_eq!((read(None), read(Some("k"))), (Ok(false), Ok(true)));
        assert!(read(Some("")).unwrap_err().contains("the API key is empty"));
    }

    #[test]
    fn a_key_is_safe_on_this_machine_and_with_tls() {
        for safe in ["localhost:2003", "udp://[::1]:1", "tls://a.example.com:1", "pickle+tls://a:1"]
        {
            assert_eq!(doubt(&safe.parse().unwrap()), None, "{safe}");
        }
        for open in ["a.example.com:2003", "udp://a:1", "pickle://192.0.2.1:1"] {
            assert!(doubt(&open.parse().unwrap()).is_some(), "{open}");
        }
    }
}
