//! Signed and encrypted parts.
//!
//! Pure: takes bytes and times, opens nothing.
//!
//! ```text
//! signed     HMAC-SHA-256 (32) │ user │ the parts that are signed, to the end of the datagram
//!            the code covers everything after it; its key is the password
//!
//! encrypted  length of user (u16 BE) │ user │ IV (16) │ SHA-1 of the parts (20) │ parts
//!            AES-256-OFB from the SHA-1 on; the key is the SHA-256 of the password
//! ```

use super::parts::{Part, PartError};
use aes::Aes256;
use hmac::digest::CtOutput;
use hmac::{Hmac, KeyInit, Mac};
use ofb::Ofb;
use ofb::cipher::{KeyIvInit, StreamCipher};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::fmt;

const CODE_BYTES: usize = 32;
const IV_BYTES: usize = 16;
const SHA1_BYTES: usize = 20;

/// The password of a user, as keys.
#[derive(Clone)]
pub(super) struct Secret {
    signing: Hmac<Sha256>,
    encryption: [u8; 32],
}

impl Secret {
    pub(super) fn new(password: &[u8]) -> Option<Self> {
        // A key of any length is valid for HMAC.
        let signing = Hmac::new_from_slice(password).ok()?;
        Some(Self { signing, encryption: Sha256::digest(password).into() })
    }

    #[cfg(test)]
    pub(super) const fn encryption_key(&self) -> [u8; 32] {
        self.encryption
    }

    /// The code that signs these bytes.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn code(&self, covered: &[u8]) -> [u8; CODE_BYTES] {
        self.signing.clone().chain_update(covered).finalize().into_bytes().into()
    }

    fn apply(&self, iv: &[u8; IV_BYTES], body: &mut [u8]) {
        Ofb::<Aes256>::new(&self.encryption.into(), &(*iv).into()).apply_keystream(body);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The password is not the one that the sender used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrongKey;

/// A signature.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signature<'a> {
    pub(super) user: &'a [u8],
    code: &'a [u8; CODE_BYTES],
    /// What the code covers: the user, and everything after the part.
    covered: &'a [u8],
}

impl<'a> Signature<'a> {
    pub(super) fn decode(part: &Part<'a>) -> Result<Self, PartError> {
        let (code, user) =
            part.payload.split_first_chunk::<CODE_BYTES>().ok_or(PartError::Truncated)?;
        if user.is_empty() {
            return Err(PartError::Malformed);
        }
        let covered = part.tail.get(CODE_BYTES..).ok_or(PartError::Truncated)?;
        Ok(Self { user, code, covered })
    }

    /// Checks that the sender has the password.
    pub(super) fn verify(&self, secret: &Secret) -> Result<(), WrongKey> {
        let code = secret.signing.clone().chain_update(self.covered);
        code.verify_slice(self.code).map_err(|_| WrongKey)
    }
}

/// Encrypted parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encrypted<'a> {
    pub(super) user: &'a [u8],
    iv: &'a [u8; IV_BYTES],
    /// The SHA-1 and the parts.
    body: &'a [u8],
}

impl<'a> Encrypted<'a> {
    pub(super) fn decode(payload: &'a [u8]) -> Result<Self, PartError> {
        let (length, rest) = payload.split_first_chunk::<2>().ok_or(PartError::Truncated)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (user, rest) = rest.split_at_checked(length).ok_or(PartError::Truncated)?;
        let (iv, body) = rest.split_first_chunk::<IV_BYTES>().ok_or(PartError::Truncated)?;
        if user.is_empty() {
            return Err(PartError::Malformed);
        }
        if body.len() <= SHA1_BYTES {
            return Err(PartError::Truncated);
        }
        Ok(Self { user, iv, body })
    }

    /// The parts.
    pub(super) fn decrypt(&self, secret: &Secret) -> Result<Vec<u8>, WrongKey> {
        let mut body = self.body.to_vec();
        secret.apply(self.iv, &mut body);
        let parts = body.split_off(SHA1_BYTES);
        let sha1 = *body.first_chunk::<SHA1_BYTES>().ok_or(WrongKey)?;
        // These are compared in constant time.
        let (sent, own) = (CtOutput::<Sha1>::new(sha1.into()), CtOutput::new(Sha1::digest(&parts)));
        if sent == own { Ok(parts) } else { Err(WrongKey) }
    }

    /// The encrypted SHA-1 and parts.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn body(secret: &Secret, iv: &[u8; IV_BYTES], parts: &[u8]) -> Vec<u8> {
        let mut body = [&*Sha1::digest(parts), parts].concat();
        secret.apply(iv, &mut body);
        body
    }
}

#[cfg(test)]
mod tests {
    use super::{CODE_BYTES, Encrypted, Secret, Signature, WrongKey};
    use crate::intake::collectd::parts::Parts;
    use crate::intake::collectd::sealing::{encrypt, sign};

    fn secrets() -> [Secret; 2] {
        [&b"12345678"[..], b"1234567"].map(|password| Secret::new(password).unwrap())
    }

    #[test]
    fn a_signature_covers_the_user_and_all_parts() {
        let mut datagram = sign(b"\0\0\0\x06h\0");
        let [secret, other] = secrets();
        let verify = |datagram: &[u8], secret: &Secret| {
            let part = Parts(datagram).next().unwrap().unwrap();
            Signature::decode(&part).unwrap().verify(secret)
        };
        assert_eq!(verify(&datagram, &secret), Ok(()));
        assert_eq!(verify(&datagram, &other), Err(WrongKey));
        for at in [4, 4 + CODE_BYTES, datagram.len() - 2] {
            datagram[at] ^= 1;
            assert_eq!(verify(&datagram, &secret), Err(WrongKey), "byte {at}");
            datagram[at] ^= 1;
        }
    }

    #[test]
    fn parts_of_any_length_are_decrypted() {
        let [secret, other] = secrets();
        for length in [1, 11, 12, 13, 300] {
            let parts = vec![b'p'; length];
            let datagram = encrypt(&parts);
            let part = Parts(&datagram).next().unwrap().unwrap();
            let encrypted = Encrypted::decode(part.payload).unwrap();
            assert_eq!((encrypted.user, encrypted.decrypt(&secret)), (&b"alice"[..], Ok(parts)));
            assert_eq!(encrypted.decrypt(&other), Err(WrongKey));
        }
    }
}
