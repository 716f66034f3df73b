//! The users that may sign and encrypt, from the authentication file.
//!
//! Pure: takes bytes and times, opens nothing.

use super::crypt::Secret;
use crate::intake::user_lines::{UserLineError, user_lines};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// The users and their passwords.
#[derive(Debug, Clone, Default)]
pub(super) struct Users(HashMap<Box<[u8]>, Secret, RandomState>);

impl Users {
    /// Reads a file. Invalid lines are skipped, and passed to `skipped` with their number.
    pub(super) fn parse(file: &[u8], mut skipped: impl FnMut(usize, UserLineError)) -> Self {
        let mut users = HashMap::default();
        for (number, entry) in user_lines(file) {
            let secret =
                |(user, password)| Ok((user, Secret::new(password).ok_or(UserLineError::Empty)?));
            match entry.and_then(secret) {
                Ok((user, secret)) => {
                    if users.insert(Box::from(user), secret).is_some() {
                        skipped(number, UserLineError::Repeated);
                    }
                }
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

#[cfg(test)]
mod tests {
    use super::{UserLineError, Users};
    use UserLineError::{Empty, NoColon, Repeated};

    /// The users, and the lines that are skipped or noteworthy.
    fn read(file: &[u8]) -> (Vec<String>, Vec<(usize, UserLineError)>) {
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
