//! Finds out whether a server speaks TLS.
//!
//! Many TLS servers, such as stunnel, answer data without TLS only by a reset, like a Carbon that
//! rejects a line.

use crate::carbon::deadline::Deadline;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io::{Read, Write};
use std::sync::Arc;

/// Sends the beginning of a handshake. Returns whether the answer is TLS; nothing is verified, and
/// nothing else is sent.
pub(crate) fn speaks_tls(host: &str, mut to: Deadline<'_>) -> bool {
    let mut first = [0; 3];
    let answered = hello(host)
        .is_some_and(|hello| to.write_all(&hello).is_ok() && to.read_exact(&mut first).is_ok());
    // The head of a record: its type (22 is a handshake, 21 an alert), and the version.
    answered && matches!(first, [0x15 | 0x16, 3, 0..=4])
}

fn hello(host: &str) -> Option<Vec<u8>> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).ok()?;
    Some(hello)
}
