//! Encryption and authentication: keys, key files, and the configuration of a client.
//!
//! The broker has a key pair, and so has each client. A client knows the broker's public key, and
//! the broker has a list of allowed public keys. `zibrato-broker keygen` creates key pairs:
//! `NAME.pub` is public, `NAME.key` is secret.
//!
//! ```no_run
//! use zibrato::Zibrato;
//! use zibrato::curve::Curve;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let curve = Curve::read(&"/etc/zibrato/broker.pub".into(), &"/etc/zibrato/web-1.key".into())?;
//! let _zibrato = Zibrato::builder().host("broker.internal").curve(curve).install()?;
//! # Ok(())
//! # }
//! ```

mod key;
mod libzmq;
mod source;
mod z85;

pub use key::{KeyError, KeyLine, PublicKey, SecretKey};
pub use source::{KeySource, ReadKeyError};

use std::ffi::OsString;

/// The variable with the broker's public key, or the file that contains it.
const SERVER_KEY: &str = "ZIBRATO_SERVER_KEY";

/// The variable with the client's secret key, or the file that contains it.
const CURVE_KEY: &str = "ZIBRATO_CURVE_KEY";

/// The keys of a client: the broker's public key and its own secret key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curve {
    server: PublicKey,
    own: SecretKey,
}

impl Curve {
    /// Creates it from the client's secret key `own` and the broker's public key `server`.
    #[must_use]
    pub const fn new(server: PublicKey, own: SecretKey) -> Self {
        Self { server, own }
    }

    /// Reads both keys.
    ///
    /// # Errors
    /// [`ReadKeyError`] if one of them cannot be read, is invalid, or is readable by other users.
    pub fn read(server: &KeySource, own: &KeySource) -> Result<Self, ReadKeyError> {
        Ok(Self::new(server.public_key()?, own.secret_key()?))
    }

    /// Reads the keys, or the files that contain them, from the variables `ZIBRATO_SERVER_KEY` and
    /// `ZIBRATO_CURVE_KEY`. `None` if neither is set.
    ///
    /// # Errors
    /// [`ReadKeyError`], also when only one of the two is set.
    pub fn from_env() -> Result<Option<Self>, ReadKeyError> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    pub(crate) fn from_variables(
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Self>, ReadKeyError> {
        let given = |name| {
            let value = variable(name).map(|value| match value.to_str() {
                Some(text) => text.trim().into(),
                None => value,
            });
            value.filter(|value: &OsString| !value.is_empty()).map(KeySource::from)
        };
        Self::from_pair(
            [SERVER_KEY, CURVE_KEY],
            given(SERVER_KEY).as_ref(),
            given(CURVE_KEY).as_ref(),
        )
    }

    /// Reads both keys, or returns `None` if neither is given. `names` are the names of the two
    /// settings for error messages, such as `--server-key` and `--curve-key`.
    ///
    /// # Errors
    /// [`ReadKeyError`], also when only one of the two is given.
    pub fn from_pair(
        names: [&'static str; 2],
        server: Option<&KeySource>,
        own: Option<&KeySource>,
    ) -> Result<Option<Self>, ReadKeyError> {
        let [server_name, own_name] = names;
        match (server, own) {
            (None, None) => Ok(None),
            (Some(server), Some(own)) => {
                let server = server.public_key().map_err(ReadKeyError::given_as(server_name))?;
                let own = own.secret_key().map_err(ReadKeyError::given_as(own_name))?;
                Ok(Some(Self::new(server, own)))
            }
            (Some(_), None) => Err(ReadKeyError::Half { given: server_name, missing: own_name }),
            (None, Some(_)) => Err(ReadKeyError::Half { given: own_name, missing: server_name }),
        }
    }

    /// The client's public key, which the broker must allow.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        self.own.public_key()
    }

    /// Configures a socket that is not connected yet to encrypt with these keys.
    ///
    /// # Errors
    /// The error of libzmq. There is none for keys that libzmq created.
    pub fn secure(&self, socket: &zmq::Socket) -> zmq::Result<()> {
        socket.set_curve_serverkey(self.server.as_bytes())?;
        socket.set_curve_publickey(self.own.public_key().as_bytes())?;
        socket.set_curve_secretkey(self.own.expose())
    }
}

/// Whether the linked libzmq has CURVE. The one that the `zmq` crate compiles does not.
#[must_use]
pub fn is_supported() -> bool {
    zmq::has("curve") == Some(true)
}

#[cfg(test)]
mod tests {
    use super::{CURVE_KEY, Curve, ReadKeyError, SERVER_KEY, SecretKey};

    #[test]
    fn variables_hold_keys_or_name_files_and_come_in_pairs() {
        let (server, own) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.pub");
        std::fs::write(&file, format!("{} broker\n", server.public_key())).unwrap();
        let read = |server: Option<&str>, own: Option<&str>| {
            Curve::from_variables(|name| {
                let value = if name == SERVER_KEY { server } else { own };
                assert!([SERVER_KEY, CURVE_KEY].contains(&name));
                value.map(Into::into)
            })
        };
        let own_text = own.expose_text();
        let curve = read(file.to_str(), Some(&own_text)).unwrap().unwrap();
        assert_eq!(curve, Curve::new(*server.public_key(), own));
        assert!(!format!("{curve:?}").contains(own_text.trim_start_matches("secret:")));
        let spaced = [file.to_str().unwrap(), &own_text].map(|value| format!(" {value}\n"));
        let [server, own] = spaced.each_ref().map(|value| Some(value.as_str()));
        assert_eq!(read(server, own).unwrap(), Some(curve));
        assert_eq!(read(None, Some("")).unwrap(), None);
        assert_eq!(read(Some(" "), Some("\n")).unwrap(), None);
        let half = read(file.to_str(), None).unwrap_err();
        assert!(matches!(half, ReadKeyError::Half { missing: CURVE_KEY, .. }), "{half}");
        let half = read(None, Some(&own_text)).unwrap_err().to_string();
        assert!(half.contains(SERVER_KEY) && !half.contains(&own_text), "{half}");
    }
}
