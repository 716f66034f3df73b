//! The users that may sign and encrypt, from the authentication file.
//!
//! Pure: takes bytes and times, opens nothing.
//!
//! ```text
//! # comment
//! user: password
//! ```

use super::crypt::Secret;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// Why a line is skipped, or noteworthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum AuthLineError {
    /// It has no colon.
    #[error("expected USER: PASSWORD")]
    NoColon,
    /// The user or the password is empty.
    #[error("the user or the password is empty")]
    Empty,
    /// An earlier line has the same user.
    #[error("the user has an earlier line, which is replaced")]
    Repeated,
}

/// The users and their passwords.
#[derive(Debug, Clone, Default)]
pub(super) struct Users(HashMap<Box<[u8]>, Secret, RandomState>);

impl Users {
    /// Reads a file. Invalid lines are skipped, and passed to `skipped` with their number.
    pub(super) fn parse(file: &[u8], mut skipped: impl FnMut(usize, AuthLineError)) -> Self {
        let mut users = HashMap::default();
        for (line, number) in file.split(|byte| *byte == b'\n').zip(1..) {
            match entry(line) {
                Ok(Some((user, secret))) => {
                    if users.insert(user.into(), secret).is_some() {
                        skipped(number, AuthLineError::Repeated);
                    }
                }
                Ok(None) => {}
                Err(error) => skipped(number, error),
            }
        }
        Self(users)
    }

    pub(super) fn get(&self, user: &[u8]) -> Option<&Secret> {
        self.0.get(user)
    }

    /// The number of users.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The user and the password of a line, or nothing for an empty line or a comment.
fn entry(line: &[u8]) -> Result<Option<(&[u8], Secret)>, AuthLineError> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let colon = memchr::memchr(b':', line).ok_or(AuthLineError::NoColon)?;
    let (user, password) = line.split_at(colon);
    let (user, password) = (user.trim_ascii(), password.get(1..).unwrap_or_default().trim_ascii());
    if user.is_empty() || password.is_empty() {
        return Err(AuthLineError::Empty);
    }
    let secret = Secret::new(password).ok_or(AuthLineError::Empty)?;
    Ok(Some((user, secret)))
}

#[cfg(test)]
mod tests {
    use super::{AuthLineError, Users};
    use AuthLineError::{Empty, NoColon, Repeated};

    /// The users, and the lines that are skipped or noteworthy.
    fn read(file: &[u8]) -> (Vec<String>, Vec<(usize, AuthLineError)>) {
        let mut skipped = Vec::new();
        let users = Users::parse(file, |line, error| skipped.push((line, error)));
        let mut names: Vec<_> =
            users.0.keys().map(|user| String::from_utf8_lossy(user).into_owned()).collect();
        names.sort();
        (names, skipped)
    }

    #[test]
    fn users_are_read_and_faulty_lines_skipped() {
        for (file, users, skipped) in [
            (&b""[..], &[][..], &[][..]),
            (
                b"# c\nalice: 123\nbob:456  \n\n  charlie  :  789\r\n",
                &["alice", "bob", "charlie"],
                &[],
            ),
            (b"bob: 1\nbob: x:y\n", &["bob"], &[(2, Repeated)]),
            (b"alice 123\nbob: 1", &["bob"], &[(1, NoColon)]),
            (b": 1\nbob: 1\n", &["bob"], &[(1, Empty)]),
            (b"alice:\nbob: 1\n", &["bob"], &[(1, Empty)]),
            (b"a\xff: \xfe", &["a\u{fffd}"], &[]),
        ] {
            let users: Vec<_> = users.iter().map(|user| (*user).to_owned()).collect();
            assert_eq!(read(file), (users, skipped.to_vec()), "{}", file.escape_ascii());
        }
    }

    #[test]
    fn the_last_line_of_a_user_counts() {
        let same = |a: &[u8], b: &[u8]| {
            let of = |file| Users::parse(file, |_, _| {}).get(b"bob").unwrap().encryption_key();
            of(a) == of(b)
        };
        assert!(same(b"bob: 1\nbob: x:y\n", b"bob:x:y"));
        assert!(!same(b"bob: 1\n", b"bob: 2\n"));
    }
}
