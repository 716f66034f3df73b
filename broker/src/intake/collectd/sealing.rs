//! Signed and encrypted datagrams, as CollectD sends them. For tests and fuzz targets.

use super::crypt::{Encrypted, Secret};
use super::parts::kind;

const USER: &[u8] = b"alice";
const PASSWORD: &[u8] = b"12345678";

/// The authentication file with the user who signs and encrypts.
pub(super) const AUTH_FILE: &str = "alice: 12345678";

fn part(kind: u16, payload: &[&[u8]]) -> Vec<u8> {
    let payload = payload.concat();
    let length = u16::try_from(payload.len() + 4).unwrap_or(u16::MAX);
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), &payload].concat()
}

fn secret() -> Secret {
    Secret::new(PASSWORD).unwrap_or_else(|| unreachable!("a key of HMAC has any length"))
}

/// The signed parts.
pub(super) fn sign(parts: &[u8]) -> Vec<u8> {
    let code = secret().code(&[USER, parts].concat());
    [part(kind::SIGNATURE, &[&code, USER]), parts.to_vec()].concat()
}

/// The parts in an encrypted one. They must fit into a datagram.
pub(super) fn encrypt(parts: &[u8]) -> Vec<u8> {
    let length = u16::try_from(USER.len()).unwrap_or_default().to_be_bytes();
    let iv = [7; 16];
    let body = Encrypted::body(&secret(), &iv, parts);
    part(kind::ENCRYPTED, &[&length, USER, &iv, &body])
}
