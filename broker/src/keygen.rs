//! `zibrato-broker keygen`: creates a key pair, and explains how to use it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zibrato::curve::{KeyError, PublicKey, SecretKey};
use zibrato::daemon::{Exit, Failure, make_folder, print};

const EXAMPLES: &str = "\
Examples:
  zibrato-broker keygen
  zibrato-broker keygen --name web-1 --out /etc/zibrato/keys";

/// The flags of `keygen`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KeygenFlags {
    /// Folder for the two files
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,

    /// Owner of the keys: `broker`, or a client such as web-1
    #[arg(long, value_name = "NAME", default_value = "broker", value_parser = name)]
    name: String,
}

/// Creates the pair, and prints its public key and the next steps.
pub(crate) fn run(flags: &KeygenFlags) -> Result<(), Failure> {
    let made = make(&flags.out, &flags.name);
    let (public, [secret_file, public_file]) = made.map_err(|error| {
        let exit = match error {
            KeygenError::Exists { .. } | KeygenError::Key(_) => Exit::Config,
            KeygenError::File { .. } => Exit::Io,
        };
        Failure::new(exit, error.to_string())
    })?;
    print(&instructions(&flags.name, &public, &secret_file, &public_file)).map_err(|mut failure| {
        failure.message = format!(
            "{}; the secret key is in {}, and the public key in {}",
            failure.message,
            secret_file.display(),
            public_file.display(),
        );
        failure
    })
}

fn name(text: &str) -> Result<String, String> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && text.len() <= 64 && text.chars().all(is_fine) {
        return Ok(text.to_owned());
    }
    Err("expected 1 to 64 letters, digits, `.`, `_` and `-`, starting with a letter or digit"
        .to_owned())
}

fn make(folder: &Path, name: &str) -> Result<(PublicKey, [PathBuf; 2]), KeygenError> {
    let key = SecretKey::generate()?;
    let public = *key.public_key();
    let wrong = |file: &Path, source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => KeygenError::Exists { file: file.to_owned() },
        _ => KeygenError::File { file: file.to_owned(), source },
    };
    make_folder(folder).map_err(|source| KeygenError::File { file: folder.to_owned(), source })?;
    let [secret_file, public_file] =
        ["key", "pub"].map(|ending| folder.join(format!("{name}.{ending}")));
    // The public key first: if its file already exists, nothing has been written.
    create(&public_file, 0o644, &format!("{public} {name}\n"))
        .map_err(|source| wrong(&public_file, source))?;
    let text = format!(
        "# The secret key of {name}. Whoever reads it can impersonate {name}.\n# Its public key is \
         {public}\n{}\n",
        key.expose_text()
    );
    create(&secret_file, 0o600, &text).map_err(|source| {
        // A public key without its secret key is useless.
        std::fs::remove_file(&public_file).ok();
        wrong(&secret_file, source)
    })?;
    Ok((public, [secret_file, public_file]))
}

/// Writes a file that does not exist yet.
fn create(file: &Path, mode: u32, text: &str) -> io::Result<()> {
    let mut created: File =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?;
    let written = created.write_all(text.as_bytes()).and_then(|()| created.sync_all());
    if written.is_err() {
        // A truncated key is useless.
        std::fs::remove_file(file).ok();
    }
    written
}

fn instructions(name: &str, public: &PublicKey, secret_file: &Path, public_file: &Path) -> String {
    let (secret_file, public_file) = (secret_file.display(), public_file.display());
    let folder = Path::new("allowed-keys");
    let next = if name == "broker" {
        format!(
            "Start the broker with this key, and with a folder (or file) of the public keys of its \
             clients:\n  zibrato-broker --curve-key {secret_file} --allowed-keys {}\n\n\
             Give {public_file} to the clients, and create keys for each of them:\n  \
             zibrato-broker keygen --name web-1\n",
            folder.display()
        )
    } else {
        format!(
            "Allow this key at the broker, and have the broker reload its list:\n  \
             cp {public_file} {}/\n  pkill -HUP -x zibrato-broker\n\n\
             Give {secret_file} and the broker's public key to {name}. If it is a worker:\n  \
             zibrato-carbon --server-key broker.pub --curve-key {secret_file}\n\
             If it is a program that measures:\n  \
             ZIBRATO_SERVER_KEY=broker.pub ZIBRATO_CURVE_KEY={secret_file} ./program\n",
            folder.display()
        )
    };
    format!(
        "{public}\n\nsecret key, for {name} alone: {secret_file}\npublic key: {public_file}\n\n{next}"
    )
}

/// The reason why no key pair was created.
#[derive(Debug, thiserror::Error)]
enum KeygenError {
    #[error("{} already exists and was not changed; give another --name or --out", .file.display())]
    Exists { file: PathBuf },
    #[error("{}: {source}; give another folder with --out", .file.display())]
    File { file: PathBuf, source: io::Error },
    #[error(transparent)]
    Key(#[from] KeyError),
}

#[cfg(test)]
mod tests {
    use super::{KeygenError, make, name};
    use std::os::unix::fs::MetadataExt;
    use zibrato::curve::KeySource;

    #[test]
    fn a_pair_is_written_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let (public, [secret_file, public_file]) = make(folder.path(), "web-1").unwrap();
        let mode = |file| std::fs::metadata(file).unwrap().mode() & 0o777;
        assert_eq!((mode(&secret_file), mode(&public_file)), (0o600, 0o644));
        assert_eq!(KeySource::from(public_file.clone()).public_key().unwrap(), public);
        let secret = KeySource::from(secret_file.clone()).secret_key().unwrap();
        assert_eq!(secret.public_key(), &public);
        let before = std::fs::read(&secret_file).unwrap();
        for left in [[&secret_file, &public_file], [&public_file, &secret_file]] {
            let again = make(folder.path(), "web-1").unwrap_err();
            assert!(matches!(again, KeygenError::Exists { .. }), "{again}");
            assert_eq!(std::fs::read(&secret_file).unwrap(), before);
            if left[0] == &secret_file {
                std::fs::remove_file(&public_file).unwrap();
            }
        }
        assert!(!public_file.exists(), "a public key without its secret one is taken back");
    }

    #[test]
    fn a_name_is_a_file_name_and_no_path() {
        for fine in ["broker", "web-1", "a.b_c", "7"] {
            assert_eq!(name(fine).unwrap(), fine);
        }
        for bad in ["", ".", "..", "a/b", "-x", "ä", "a b", "a\n", &"x".repeat(65)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }
}
