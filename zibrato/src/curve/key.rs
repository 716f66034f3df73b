//! Public and secret keys, and their text: `public:` or `secret:` and 40 characters.
//!
//! Z85 text does not show whether a key is public or secret. The prefix prevents mistakes, and lets
//! scanners find secrets.

use super::libzmq::{HOW_TO_LINK, public_of};
use super::z85::{self, KEY_BYTES, KEY_CHARACTERS, Wrong};
use std::fmt;
use std::str::FromStr;

/// Prefix of a public key.
const PUBLIC: &str = "public:";

/// Prefix of a secret key.
const SECRET: &str = "secret:";

/// A public key. Its text is `public:` and 40 characters of Z85.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; KEY_BYTES]);

impl PublicKey {
    /// The key with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", z85::encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        match (text.strip_prefix(PUBLIC), text.starts_with(SECRET)) {
            (Some(key), _) => Ok(Self(decode(key)?)),
            (None, true) => Err(KeyError::IsSecret),
            (None, false) => Err(KeyError::NoKey),
        }
    }
}

/// A secret key and its public key. Its text is `secret:` and 40 characters of Z85; its debug
/// output is `***`.
///
/// ```
/// use zibrato::curve::{SecretKey, is_supported};
/// if is_supported() {
///     let key = SecretKey::generate().unwrap();
///     assert_eq!(format!("{key:?}"), "***");
///     assert!(key.public_key().to_string().starts_with("public:"));
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey {
    secret: [u8; KEY_BYTES],
    public: PublicKey,
}

impl SecretKey {
    /// A new key pair.
    ///
    /// # Errors
    /// [`KeyError::NoCurve`] if the linked libzmq has no CURVE.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = zmq::CurveKeyPair::new().map_err(|_| KeyError::NoCurve)?;
        Ok(Self { secret: pair.secret_key, public: PublicKey(pair.public_key) })
    }

    /// Its public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Its 32 bytes. Pass them only to a socket.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.secret
    }

    /// Its text. Write it only to a key file.
    #[must_use]
    pub fn expose_text(&self) -> String {
        format!("{SECRET}{}", z85::encode(&self.secret))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let key = match (text.strip_prefix(SECRET), text.starts_with(PUBLIC)) {
            (Some(key), _) => key,
            (None, true) => return Err(KeyError::IsPublic),
            (None, false) => return Err(KeyError::NoKey),
        };
        let secret = decode(key)?;
        let public = public_of(key).ok_or(KeyError::NoCurve)?;
        Ok(Self { secret, public: PublicKey(decode(&public)?) })
    }
}

fn decode(text: &str) -> Result<[u8; KEY_BYTES], KeyError> {
    z85::decode(text).map_err(|wrong| match wrong {
        Wrong::Length(found) => KeyError::Length { found },
        Wrong::Character(place) => KeyError::Character { place },
    })
}

/// A line of a key file: a key, blanks, and the name of its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLine<'a> {
    /// The line number, counted from 1.
    pub number: usize,
    /// The key, as text.
    pub key: &'a str,
    /// The name of its owner; may be empty.
    pub name: &'a str,
}

impl<'a> KeyLine<'a> {
    /// The lines with keys: all except empty lines and those that begin with `#`.
    pub fn all(text: &'a str) -> impl Iterator<Item = Self> {
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).zip(1..);
        let lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
        lines.map(|(line, number)| {
            let (key, name) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            KeyLine { number, key, name: name.trim() }
        })
    }
}

/// Why a text is not a key. The text is never shown, because it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A character is not in the alphabet of Z85.
    #[error(
        "character {place} of the key is wrong: it is not a character of Z85; copy the key again"
    )]
    Character {
        /// Its position, counted from 1.
        place: usize,
    },
    /// It is a public key, but a secret one is needed.
    #[error("this is a public key; give the secret one, which begins with `secret:` (*.key)")]
    IsPublic,
    /// It is a secret key, but a public one is needed.
    #[error(
        "this is a secret key, which only its owner should have; give the public one, which begins \
         with `public:` (*.pub), and make a new pair if others have seen this one"
    )]
    IsSecret,
    /// It is too short or too long.
    #[error("the key has {found} characters in place of {KEY_CHARACTERS}; copy it again")]
    Length {
        /// Its number of characters.
        found: usize,
    },
    /// libzmq cannot encrypt.
    #[error("the libzmq in this program cannot encrypt (it has no CURVE); {}", HOW_TO_LINK)]
    NoCurve,
    /// It has neither prefix.
    #[error(
        "there is no key that begins with `public:` or `secret:`; create one with `zibrato-broker \
         keygen`, or put the prefix before a Z85 key from elsewhere"
    )]
    NoKey,
}

#[cfg(test)]
mod tests {
    use super::{KeyError, KeyLine, PublicKey, SecretKey};

    // From RFC 26, where they are the test keys.
    const PUBLIC: &str = "public:rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
    const SECRET: &str = "secret:JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";

    #[test]
    fn the_public_key_of_a_foreign_secret_key_is_derived() {
        let secret: SecretKey = SECRET.parse().unwrap();
        let public: PublicKey = PUBLIC.parse().unwrap();
        assert_eq!((secret.public_key(), secret.expose_text().as_str()), (&public, SECRET));
        assert_eq!(public.to_string(), PUBLIC);
        assert_eq!(format!("{public:?} {secret:?}"), format!("{PUBLIC} ***"));
    }

    #[test]
    fn a_new_pair_is_consistent() {
        let key = SecretKey::generate().unwrap();
        assert_eq!(key.expose_text().parse::<SecretKey>().unwrap(), key);
        assert_ne!(key, SecretKey::generate().unwrap());
    }

    #[test]
    fn errors_about_keys_are_distinguished() {
        let public = |text: &str| text.parse::<PublicKey>().unwrap_err();
        assert_eq!(public(SECRET), KeyError::IsSecret);
        assert_eq!(public(""), KeyError::NoKey);
        assert_eq!(public(PUBLIC.trim_start_matches("public:")), KeyError::NoKey);
        assert_eq!(public(PUBLIC.strip_suffix("7").unwrap()), KeyError::Length { found: 39 });
        assert_eq!(public(&PUBLIC.replace('@', "~")), KeyError::Character { place: 10 });
        assert_eq!(PUBLIC.parse::<SecretKey>().unwrap_err(), KeyError::IsPublic);
        let short = SECRET.strip_suffix("6").unwrap().parse::<SecretKey>().unwrap_err();
        assert_eq!(short, KeyError::Length { found: 39 });
    }

    #[test]
    fn lines_have_keys_and_names() {
        let text = "\u{feff}# who may come in\n\n public:a\tweb 1 \r\n#public:b old\npublic:c\n";
        let lines: Vec<_> = KeyLine::all(text).map(|l| (l.number, l.key, l.name)).collect();
        assert_eq!(lines, [(3, "public:a", "web 1"), (5, "public:c", "")]);
    }
}
