//! The users and their tokens.
//!
//! Pure: takes bytes, opens nothing.

use crate::intake::user_lines::{UserLineError, user_lines};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hmac::digest::InvalidLength;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Who may send. Tokens are kept as codes under a key of this process, and compared in constant time,
/// so that neither the memory nor the time of an answer tells anything about them.
#[derive(Debug, Clone)]
pub(super) struct Users {
    /// Several tokens of a user are valid, so that a new one can be introduced before an old one ends.
    codes: HashMap<Box<[u8]>, Vec<Code>, RandomState>,
    key: Hmac<Sha256>,
}

/// The code of a token.
type Code = [u8; 32];

impl Users {
    /// Reads a file with lines `user: token`. Invalid ones are skipped, and passed to `skipped` with
    /// their number.
    ///
    /// # Errors
    /// Never: a key of any length is valid for HMAC.
    pub(super) fn parse(
        file: &[u8],
        mut skipped: impl FnMut(usize, UserLineError),
    ) -> Result<Self, InvalidLength> {
        let secret: [[u8; 8]; 4] = std::array::from_fn(|_| fastrand::u64(..).to_ne_bytes());
        let mut users =
            Self { codes: HashMap::default(), key: Hmac::new_from_slice(secret.as_flattened())? };
        for (number, entry) in user_lines(file) {
            match entry {
                Ok((user, token)) => {
                    let code = users.code(token);
                    users.codes.entry(user.into()).or_default().push(code);
                }
                Err(error) => skipped(number, error),
            }
        }
        Ok(users)
    }

    /// Whether the credentials are those of a user. AppOptics' clients send the token as user, and no
    /// password.
    pub(super) fn admits(&self, user: &[u8], token: &[u8]) -> bool {
        if token.is_empty() {
            return self.has_any(self.codes.values().flatten(), user);
        }
        // For an unknown user there is as much work as for a known one.
        let (codes, placeholder) = (self.codes.get(user), vec![Code::default()]);
        self.has_any(codes.unwrap_or(&placeholder).iter(), token) && codes.is_some()
    }

    /// All codes are compared, so that the time says nothing about the place of a match.
    fn has_any<'a>(&self, codes: impl Iterator<Item = &'a Code>, token: &[u8]) -> bool {
        let of_token = self.key.clone().chain_update(token);
        let is_equal = |code: &Code| of_token.clone().verify_slice(code).is_ok();
        codes.fold(false, |found, code| is_equal(code) | found)
    }

    fn code(&self, token: &[u8]) -> Code {
        self.key.clone().chain_update(token).finalize().into_bytes().into()
    }

    /// The number of users.
    pub(super) fn len(&self) -> usize {
        self.codes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Users;
    use crate::intake::user_lines::UserLineError::{Empty, NoColon};

    #[test]
    fn a_user_has_one_or_several_tokens_and_a_token_alone_is_enough() {
        let mut skipped = Vec::new();
        let file = b"# all\nann@example.com: t1\nbob:t2\nbob: t3:x\nnobody\nnone:\n";
        let users = Users::parse(file, |line, error| skipped.push((line, error))).unwrap();
        assert_eq!(skipped, [(5, NoColon), (6, Empty)]);
        assert_eq!(users.len(), 2);
        for (user, token, is_admitted) in [
            ("ann@example.com", "t1", true),
            ("bob", "t2", true),
            ("bob", "t3:x", true),
            ("ann@example.com", "t2", false),
            ("bob", "t", false),
            ("bob", "t22", false),
            ("carl", "t1", false),
            ("t1", "", true),
            ("t3:x", "", true),
            ("bob", "", false),
            ("", "", false),
            ("", "t1", false),
        ] {
            assert_eq!(users.admits(user.as_bytes(), token.as_bytes()), is_admitted, "{user}");
        }
    }
}
