//! The `types.db` files and the authentication file, which are read again when they change.

use super::auth::Users;
use super::datagram::Decoder;
use super::types_db::TypesDb;
use crate::intake::file_warning::{InvalidLines, Warning};
use crate::intake::flag_error::FlagError;
use crate::intake::watched::Watched;
use std::io;
use std::path::{Path, PathBuf};

/// The files that are read if no `types.db` is given.
const DEFAULT_TYPES: [&str; 2] =
    ["/usr/share/collectd/types.db", "/usr/local/share/collectd/types.db"];

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    /// There is no `types.db`.
    #[error(
        "there is no {}; give CollectD's types.db with --collectd-types FILE",
        DEFAULT_TYPES.join(" or ")
    )]
    NoTypes,
    /// No file defines a type.
    #[error("--collectd-types: no file defines a type, as `gauge value:GAUGE:U:U` does")]
    Empty,
    /// The authentication file has no user, and all datagrams need one.
    #[error("--collectd-auth-file {}: {}", path.display(), no_user(.first))]
    NoUser {
        path: PathBuf,
        /// The first invalid line.
        first: Option<Warning>,
    },
    /// A file cannot be read.
    #[error("{flag} {}: {error}", path.display())]
    Unreadable {
        /// The flag that names the file.
        flag: &'static str,
        path: PathBuf,
        error: io::Error,
    },
}

impl From<FilesError> for FlagError {
    fn from(error: FilesError) -> Self {
        let types = "--collectd-types";
        match error {
            FilesError::NoTypes => Self::invalid(
                types,
                "FILE",
                format!("there is no {}; give CollectD's types.db", DEFAULT_TYPES.join(" or ")),
            ),
            FilesError::Empty => {
                let why = "no file defines a type, as `gauge value:GAUGE:U:U` does";
                Self::invalid(types, "FILE", why)
            }
            FilesError::NoUser { path, first } => {
                Self::invalid("--collectd-auth-file", path.display(), no_user(&first))
            }
            FilesError::Unreadable { flag, path, error } => {
                let why = format!("{error}; give a file that the broker can read");
                Self::invalid(flag, path.display(), why)
            }
        }
    }
}

/// What to do if no line defines a user.
fn no_user(first: &Option<Warning>) -> String {
    let why =
        "no line defines a user, so that nothing can be accepted; add a line `user: password`";
    match first {
        Some(Warning::InvalidLine { line, error, .. }) => format!("{why} (line {line}: {error})"),
        Some(_) | None => why.to_owned(),
    }
}

/// The paths of the files, and which versions of them were read.
#[derive(Debug)]
pub(super) struct Files {
    types: Vec<Watched>,
    auth: Option<Watched>,
    /// What is noteworthy about the files that were read, until it is logged.
    warnings: Vec<Warning>,
    /// The second in which it was last examined whether they have changed.
    looked_at: u64,
}

impl Files {
    /// The given `types.db` files, or those of an installed CollectD.
    pub(super) fn new(types: &[PathBuf], auth: Option<&Path>) -> Self {
        let mut types = types.to_vec();
        if types.is_empty() {
            types.extend(DEFAULT_TYPES.map(PathBuf::from).into_iter().filter(|path| path.exists()));
        }
        let types = types.into_iter().map(Watched::new).collect();
        let auth = auth.map(Path::to_path_buf).map(Watched::new);
        Self { types, auth, warnings: Vec::new(), looked_at: 0 }
    }

    /// Reads files that have changed, if it is another second than at the last call. If one cannot
    /// be read, that is logged, and what was read before is kept.
    pub(super) fn reread(&mut self, decoder: &mut Decoder, now_ms: u64) {
        if now_ms / 1_000 == self.looked_at {
            return;
        }
        self.looked_at = now_ms / 1_000;
        if self.types.iter().any(Watched::has_changed) {
            match self.read_types() {
                Ok(types) => {
                    tracing::info!(event = "reloaded", collectd_types = types.len());
                    decoder.types = types;
                }
                Err(error) => keep(&error),
            }
        }
        if self.auth.as_ref().is_some_and(Watched::has_changed) {
            let read = self.read_users();
            let read = read.and_then(|users| self.check_users(users.as_ref()).map(|()| users));
            match read {
                Ok(users) => {
                    tracing::info!(
                        event = "reloaded",
                        collectd_users = users.as_ref().map(Users::len)
                    );
                    decoder.users = users;
                }
                Err(error) => keep(&error),
            }
        }
        self.log_warnings();
    }

    /// Logs what is noteworthy about the files that were read.
    pub(super) fn log_warnings(&mut self) {
        self.warnings.drain(..).for_each(|warning| warning.log());
    }

    /// What is noteworthy about the files, for people. Errors are left to those who open them.
    pub(super) fn examine(&mut self) -> Vec<String> {
        self.read_types().ok();
        self.read_users().ok();
        self.warnings.drain(..).map(|warning| warning.to_string()).collect()
    }

    /// Reads the types. Invalid lines are skipped and noted.
    pub(super) fn read_types(&mut self) -> Result<TypesDb, FilesError> {
        if self.types.is_empty() {
            return Err(FilesError::NoTypes);
        }
        // All versions are noted, so that a file that cannot be read is not read again until it
        // has changed.
        let files: Vec<_> =
            self.types.iter_mut().map(|file| read(file, "--collectd-types")).collect();
        let mut types = TypesDb::default();
        for (file, text) in self.types.iter().zip(files) {
            let text = text?;
            let mut lines = InvalidLines::of(&file.path);
            types.add(&String::from_utf8_lossy(&text), |line, error| lines.add(line, error));
            self.warnings.append(&mut lines.warnings);
        }
        if types.len() == 0 { Err(FilesError::Empty) } else { Ok(types) }
    }

    /// Reads the users, if there is a file. Invalid lines are skipped and noted.
    pub(super) fn read_users(&mut self) -> Result<Option<Users>, FilesError> {
        let Some(file) = &mut self.auth else { return Ok(None) };
        let text = read(file, "--collectd-auth-file")?;
        let path = &file.path;
        if let Some(fix) = file.protection() {
            self.warnings.push(Warning::Readable { path: path.clone(), fix });
        }
        let mut lines = InvalidLines::of(path);
        let users = Users::parse(&text, |line, error| lines.add(line, error));
        self.warnings.append(&mut lines.warnings);
        Ok(Some(users))
    }

    /// Checks that there is a user, if all datagrams need one.
    ///
    /// # Errors
    /// [`FilesError::NoUser`], with the first invalid line.
    pub(super) fn check_users(&self, users: Option<&Users>) -> Result<(), FilesError> {
        let (Some(file), Some(0)) = (&self.auth, users.map(Users::len)) else { return Ok(()) };
        let is_first = |warning: &&Warning| matches!(warning, Warning::InvalidLine { path, .. } if *path == file.path);
        let first = self.warnings.iter().find(is_first).cloned();
        Err(FilesError::NoUser { path: file.path.clone(), first })
    }
}

fn keep(error: &FilesError) {
    let error = error.to_string();
    tracing::error!(event = "reload_failed", error, why = "what was read before is kept");
}

fn read(file: &mut Watched, flag: &'static str) -> Result<Vec<u8>, FilesError> {
    let read = file.read();
    read.map_err(|error| FilesError::Unreadable { flag, path: file.path.clone(), error })
}

#[cfg(test)]
mod tests {
    use super::{Files, FilesError};
    use crate::intake::collectd::datagram::{Decoder, Options};
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    #[test]
    fn changed_files_are_read_again_and_broken_ones_are_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let types = [file("a.db", "a value:GAUGE:U:U\n"), file("b.db", "b value:GAUGE:U:U\n")];
        let auth = file("auth", "alice: 1\n");
        let mut files = Files::new(&types, Some(&auth));
        let (db, users) = (files.read_types().unwrap(), files.read_users().unwrap());
        let mut decoder = Decoder::new(Options::default(), db, users);
        let knows = |decoder: &Decoder| {
            let types = ["a", "b", "c"].map(|name| decoder.types.get(name).is_some());
            let users = decoder.users.as_ref().unwrap();
            (types, [&b"alice"[..], b"bob"].map(|user| users.get(user).is_some()))
        };
        assert_eq!(knows(&decoder), ([true, true, false], [true, false]));
        // Written in place.
        fs::write(&types[0], "c value:GAUGE:U:U, more:GAUGE:U:U\n").unwrap();
        fs::write(&auth, "bob: 1, and more\nx\n").unwrap();
        files.reread(&mut decoder, 1_000);
        assert_eq!(knows(&decoder), ([false, true, true], [false, true]));
        // Only once in a second.
        fs::write(&auth, "alice: 1\n").unwrap();
        files.reread(&mut decoder, 1_999);
        assert_eq!(knows(&decoder), ([false, true, true], [false, true]));
        // No line defines a user.
        fs::write(&auth, "alice 1\n").unwrap();
        files.reread(&mut decoder, 2_500);
        assert_eq!(knows(&decoder), ([false, true, true], [false, true]));
        // Replaced by another file.
        fs::rename(file("new", "a value:GAUGE:U:U\n"), &types[1]).unwrap();
        fs::rename(file("new", "alice: 2\n"), &auth).unwrap();
        files.reread(&mut decoder, 3_000);
        assert_eq!(knows(&decoder), ([true, false, true], [true, false]));
        for path in types.iter().chain([&auth]) {
            fs::remove_file(path).unwrap();
        }
        files.reread(&mut decoder, 4_000);
        assert_eq!(knows(&decoder), ([true, false, true], [true, false]));
        fs::write(&types[0], "b value:GAUGE:U:U\n").unwrap();
        fs::write(&types[1], "c value:GAUGE:U:U\n").unwrap();
        files.reread(&mut decoder, 5_000);
        assert_eq!(knows(&decoder), ([false, true, true], [true, false]));
        // None of the files defines a type.
        types.iter().for_each(|path| fs::write(path, "# nothing is left\n").unwrap());
        files.reread(&mut decoder, 6_000);
        assert_eq!(knows(&decoder), ([false, true, true], [true, false]));
    }

    #[test]
    fn files_that_cannot_be_read_are_named_with_their_flag() {
        let dir = tempfile::tempdir().unwrap();
        let types = dir.path().join("types.db");
        let missing = dir.path().join("missing");
        let read = |types: &[PathBuf], auth: Option<&PathBuf>| {
            let mut files = Files::new(types, auth.map(|path| &**path));
            files.read_types().and_then(|_| files.read_users()).unwrap_err()
        };
        let message = |flag: &str| format!("{flag} {}: No such file", missing.display());
        let error = read(std::slice::from_ref(&missing), None);
        assert!(error.to_string().starts_with(&message("--collectd-types")), "{error}");
        fs::write(&types, "\n# x\n").unwrap();
        let error = read(std::slice::from_ref(&types), None);
        assert!(matches!(error, FilesError::Empty), "{error}");
        fs::write(&types, "a value:GAUGE:U:U").unwrap();
        let error = read(&[types], Some(&missing));
        assert!(error.to_string().starts_with(&message("--collectd-auth-file")), "{error}");
    }

    #[test]
    fn faults_of_the_files_are_noted_and_a_file_without_users_is_an_error_where_all_need_one() {
        let dir = tempfile::tempdir().unwrap();
        let (types, auth) = (dir.path().join("types.db"), dir.path().join("auth"));
        fs::write(&types, "a value:GAUGE:U:U\nb\n").unwrap();
        fs::write(&auth, "# none\nalice 1\n").unwrap();
        fs::set_permissions(&auth, fs::Permissions::from_mode(0o644)).unwrap();
        let shown = Files::new(std::slice::from_ref(&types), Some(&auth)).examine();
        let [line, readable, user] = &shown[..] else { panic!("{shown:?}") };
        assert!(line.starts_with(&format!("{}: line 2: ", types.display())), "{line}");
        assert!(readable.ends_with(&format!("run chmod o= {}", auth.display())), "{readable}");
        assert!(user.ends_with("auth: line 2: expected USER: PASSWORD"), "{user}");

        let mut files = Files::new(&[types], Some(&auth));
        let users = files.read_users().unwrap();
        let error = files.check_users(users.as_ref()).unwrap_err().to_string();
        let start = format!("--collectd-auth-file {}: no line defines a user", auth.display());
        assert!(error.starts_with(&start), "{error}");
        assert!(error.ends_with("(line 2: expected USER: PASSWORD)"), "{error}");
        fs::write(&auth, "alice: 1\n").unwrap();
        let users = files.read_users().unwrap();
        files.check_users(users.as_ref()).unwrap();
        files.check_users(None).unwrap();
    }
}
