//! The flags for a worker's keys.

use zibrato::curve::{Curve, KeySource};
use zibrato::daemon::{Exit, Failure};

/// The keys for a broker that encrypts its connections.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CurveFlags {
    /// Public key of the broker, or a file that contains it. Needed if the broker has keys
    #[arg(long, value_name = "FILE")]
    server_key: Option<KeySource>,

    /// File with this worker's secret key. The broker must allow the matching public key
    #[arg(long, value_name = "FILE")]
    curve_key: Option<KeySource>,
}

impl CurveFlags {
    /// Reads the keys, if they are given.
    pub(crate) fn read(&self) -> Result<Option<Curve>, Failure> {
        let names = ["--server-key", "--curve-key"];
        let keys = Curve::from_pair(names, self.server_key.as_ref(), self.curve_key.as_ref());
        keys.map_err(|error| Failure::new(Exit::Config, error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::CurveFlags;
    use clap::Parser;
    use zibrato::curve::SecretKey;

    #[derive(Debug, clap::Parser)]
    struct Flags {
        #[command(flatten)]
        curve: CurveFlags,
    }

    #[test]
    fn one_key_is_not_enough_and_no_output_shows_a_secret() {
        let (server, own) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let (server, secret) = (server.public_key().to_string(), own.expose_text());
        let read = |args: &[&str]| {
            let flags = Flags::try_parse_from([&["x"], args].concat()).unwrap();
            assert!(!format!("{flags:?}").contains(&secret), "{flags:?}");
            flags.curve.read().map_err(|failure| failure.message)
        };
        assert_eq!(read(&[]), Ok(None));
        let curve = read(&["--server-key", &server, "--curve-key", &secret]).unwrap().unwrap();
        assert_eq!(curve.public_key(), own.public_key());
        let half = read(&["--server-key", &server]).unwrap_err();
        assert!(half.contains("--server-key is given without --curve-key"), "{half}");
        let swapped = read(&["--server-key", &secret, "--curve-key", &server]).unwrap_err();
        assert!(swapped.contains("this is a secret key"), "{swapped}");
    }
}
