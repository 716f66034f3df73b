//! Whom the intake admits: the file of users, and what is remembered of wrong credentials.

use crate::intake::file_warning::{InvalidLines, Warning};
use crate::intake::flag_error::FlagError;
use crate::intake::librato::access::Access;
use crate::intake::librato::guesses::Guesses;
use crate::intake::librato::users::Users;
use crate::intake::watched::Watched;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use std::net::IpAddr;
use std::time::{Duration, Instant};

const FLAG: &str = "--librato-users";

/// How often it is examined whether the file has changed.
const LOOK: Duration = Duration::from_secs(1);

/// Maximum size of credentials, in bytes.
const MAX_CREDENTIALS: usize = 1_000;

/// Who may send.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Everybody.
    Open,
    /// Users with their tokens.
    Users(Box<Known>),
}

/// The users of a file.
#[derive(Debug)]
pub(crate) struct Known {
    file: Watched,
    users: Users,
    looked_at: Instant,
    guesses: Guesses,
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Admitted,
    /// There are no credentials. CollectD, as every client that leaves the scheme to libcurl, sends them
    /// only when it is asked, for each request anew.
    Missing,
    /// The credentials are wrong; the user they name, for the log.
    Wrong(String),
}

impl Admission {
    /// Reads the file of users, if there is one.
    ///
    /// # Errors
    /// If it cannot be read, or defines no user.
    pub(crate) fn open(access: &Access) -> Result<Self, FlagError> {
        let Access::Users(path) = access else { return Ok(Self::Open) };
        let mut file = Watched::new(path.clone());
        let (users, warnings) =
            read(&mut file).map_err(|why| FlagError::invalid(FLAG, path.display(), why))?;
        warnings.iter().for_each(Warning::log);
        let (looked_at, guesses) = (Instant::now(), Guesses::default());
        Ok(Self::Users(Box::new(Known { file, users, looked_at, guesses })))
    }

    /// What is noteworthy about the file, for people. Errors are left to [`open`](Self::open).
    pub(crate) fn examine(access: &Access) -> Vec<String> {
        let Access::Users(path) = access else { return Vec::new() };
        let read = read(&mut Watched::new(path.clone()));
        let warnings = read.map(|(_, warnings)| warnings).unwrap_or_default();
        warnings.iter().map(ToString::to_string).collect()
    }

    /// Whether a request waits before its credentials are looked at.
    pub(super) fn must_wait(&self, address: IpAddr) -> bool {
        match self {
            Self::Open => false,
            Self::Users(known) => known.guesses.must_wait(address, Instant::now()),
        }
    }

    /// Checks the credentials of a request.
    pub(super) fn check(&mut self, headers: &HeaderMap, address: IpAddr) -> Verdict {
        let Self::Users(known) = self else { return Verdict::Admitted };
        let now = Instant::now();
        known.reread(now);
        let Some(header) = headers.get(AUTHORIZATION) else { return Verdict::Missing };
        let given = decode(header.as_bytes()).unwrap_or_default();
        let (user, token) = match given.iter().position(|byte| *byte == b':') {
            Some(colon) => (&given[..colon], given.get(colon + 1..).unwrap_or_default()),
            None => (&given[..], &[][..]),
        };
        if known.users.admits(user, token) {
            return Verdict::Admitted;
        }
        known.guesses.add(address, now);
        // Where no password is given, the user may be a token with a typing error.
        let shown = if token.is_empty() { "no user" } else { &String::from_utf8_lossy(user) };
        Verdict::Wrong(shown.chars().take(100).collect())
    }
}

impl Known {
    /// Reads the file again, if it has changed. If it cannot be read, the users stay.
    fn reread(&mut self, now: Instant) {
        if now.saturating_duration_since(self.looked_at) < LOOK {
            return;
        }
        self.looked_at = now;
        if !self.file.has_changed() {
            return;
        }
        match read(&mut self.file) {
            Ok((users, warnings)) => {
                warnings.iter().for_each(Warning::log);
                tracing::info!(event = "reloaded", librato_users = users.len());
                self.users = users;
            }
            Err(why) => {
                let error = format!("{FLAG} {}: {why}", self.file.path.display());
                tracing::error!(
                    event = "reload_failed",
                    error,
                    why = "the users stay as they were"
                );
            }
        }
    }
}

/// Reads the users from a file. Also returns warnings about the file. The error says why the file
/// cannot be used.
fn read(file: &mut Watched) -> Result<(Users, Vec<Warning>), String> {
    let text =
        file.read().map_err(|error| format!("{error}; give a file that the broker can read"))?;
    let mut lines = InvalidLines::of(&file.path);
    let users = Users::parse(&text, |line, error| lines.add(line, error));
    let users = users.map_err(|error| error.to_string())?;
    let mut warnings = lines.warnings;
    if users.len() == 0 {
        let why =
            "no line defines a user, so that nothing can be accepted; add a line `user: token`";
        return Err(why.to_owned());
    }
    if let Some(fix) = file.protection() {
        warnings.push(Warning::Readable { path: file.path.clone(), fix });
    }
    Ok((users, warnings))
}

/// The credentials of the header `Basic …`.
fn decode(header: &[u8]) -> Option<Vec<u8>> {
    let (scheme, rest) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") || rest.len() > MAX_CREDENTIALS {
        return None;
    }
    STANDARD.decode(rest.trim_ascii()).ok()
}

#[cfg(test)]
mod tests {
    use super::{Access, Admission, Verdict};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use hyper::HeaderMap;
    use std::fs;
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::{Duration, Instant};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn header(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", value.parse().unwrap());
        headers
    }

    fn basic(credentials: &str) -> HeaderMap {
        header(&format!("Basic {}", STANDARD.encode(credentials)))
    }

    #[test]
    fn credentials_are_checked_and_the_file_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users");
        fs::write(&file, "ann: t1\n").unwrap();
        let mut admission = Admission::open(&Access::Users(file.clone())).unwrap();
        let wrong = |user: &str| Verdict::Wrong(user.to_owned());
        for (headers, expected) in [
            (basic("ann:t1"), Verdict::Admitted),
            (basic("t1:"), Verdict::Admitted),
            (basic("t1"), Verdict::Admitted),
            (basic("ann:t2"), wrong("ann")),
            (basic(":"), wrong("no user")),
            (header("Bearer t1"), wrong("no user")),
            (header("Basic !!"), wrong("no user")),
            (header("Basic"), wrong("no user")),
            (HeaderMap::new(), Verdict::Missing),
        ] {
            assert_eq!(admission.check(&headers, HERE), expected, "{headers:?}");
        }
        fs::write(&file, "# nobody\n").unwrap();
        let again = |admission: &mut Admission| {
            let Admission::Users(known) = admission else { panic!("there are users") };
            known.looked_at = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        };
        again(&mut admission);
        assert_eq!(admission.check(&basic("ann:t1"), HERE), Verdict::Admitted);
        fs::write(&file, "ann: another one\n").unwrap();
        again(&mut admission);
        assert_eq!(admission.check(&basic("ann:t1"), HERE), wrong("ann"));
        assert_eq!(admission.check(&basic("ann:another one"), HERE), Verdict::Admitted);
    }

    #[test]
    fn many_wrong_guesses_make_an_address_wait() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users");
        fs::write(&file, "ann: t1\n").unwrap();
        let mut admission = Admission::open(&Access::Users(file)).unwrap();
        for n in 0..10 {
            assert!(!admission.must_wait(HERE), "{n}");
            admission.check(&basic(&format!("ann:{n}")), HERE);
            // This is no guess.
            admission.check(&HeaderMap::new(), HERE);
        }
        assert!(admission.must_wait(HERE));
        assert!(!admission.must_wait(Ipv4Addr::BROADCAST.into()));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_its_flag() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users");
        let access = Access::Users(file.clone());
        let error = || Admission::open(&access).unwrap_err().to_string();
        assert!(error().contains("No such file"), "{}", error());
        fs::write(&file, "ann\n").unwrap();
        assert!(
            error().contains("--librato-users") && error().contains("add a line `user: token`")
        );
    }
}
