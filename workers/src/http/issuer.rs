//! Finds the issuer of a certificate that is not trusted, for the log: connects to the server
//! again, and sends no request.
//!
//! The thread `zb-issuer` does this, so that a slow server blocks nothing.

use crate::thread::{Ended, OwnedThread};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
};
use std::net::ToSocketAddrs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zibrato::daemon::one_line;
use zibrato::listener::Timed;

/// Timeout of everything except resolving the host.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The issuer of the certificate of one server, if it is known.
#[derive(Debug, Default)]
pub(super) struct Issuer {
    /// The name from the last lookup.
    known: Arc<Mutex<Option<String>>>,
    asking: Mutex<Option<OwnedThread>>,
}

impl Issuer {
    /// The name from the last lookup, if there was one. Starts another lookup, unless one is
    /// running, and logs a new name.
    pub(super) fn of(&self, host: &str, port: u16) -> Option<String> {
        let name = lock(&self.known).clone();
        let mut asking = lock(&self.asking);
        let is_asking = |thread: &mut OwnedThread| {
            matches!(thread.join_by(Instant::now()), Ended::StillRunning)
        };
        if !asking.as_mut().is_some_and(is_asking) {
            let (host, known) = (host.to_owned(), Arc::clone(&self.known));
            let body = move || {
                let name = issuer(&host, port);
                let before = std::mem::replace(&mut *lock(&known), name.clone());
                if let Some(issuer) = name.filter(|name| before.as_ref() != Some(name)) {
                    tracing::warn!(event = "certificate_issuer", host, issuer);
                }
            };
            // Without a thread the certificate is rejected nevertheless, and that is logged.
            *asking = OwnedThread::spawn("zb-issuer", body, || ()).ok();
        }
        name
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The issuer of the last certificate in a server's chain.
fn issuer(host: &str, port: u16) -> Option<String> {
    let verifier =
        Arc::new(Recorder { provider: ring::default_provider(), last: Mutex::default() });
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
        .with_no_client_auth();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).ok()?;
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    let address = (bare, port).to_socket_addrs().ok()?.next()?;
    let mut stream = Timed::connect(address, TIMEOUT).ok()?;
    // This always fails, because no certificate is accepted.
    connection.complete_io(&mut stream).err()?;
    let last = lock(&verifier.last).take()?;
    issuer_in(&last).map(|name| one_line(&name))
}

/// Records certificates and accepts none.
#[derive(Debug)]
struct Recorder {
    provider: CryptoProvider,
    last: Mutex<Option<Vec<u8>>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let last = intermediates.last().unwrap_or(end_entity).to_vec();
        *lock(&self.last) = Some(last);
        refused()
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        refused()
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        refused()
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn refused<T>() -> Result<T, Error> {
    Err(CertificateError::ApplicationVerificationFailure.into())
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT: u8 = 0x06;
/// The version of a certificate, which old ones do not have.
const VERSION: u8 = 0xA0;
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0A];

/// The issuer in a certificate: its common name, or its organisation.
fn issuer_in(certificate: &[u8]) -> Option<String> {
    let whole = of(SEQUENCE, certificate)?.0;
    let mut rest = of(SEQUENCE, whole)?.0;
    if rest.first() == Some(&VERSION) {
        rest = of(VERSION, rest)?.1;
    }
    // The serial number and the algorithm of the signature.
    rest = of(0x02, rest)?.1;
    rest = of(SEQUENCE, rest)?.1;
    let mut name = of(SEQUENCE, rest)?.0;
    let mut found = None;
    while let Some((part, after)) = of(SET, name) {
        name = after;
        let pair = of(SEQUENCE, part)?.0;
        let (kind, text) = of(OBJECT, pair)?;
        let text = of(*text.first()?, text)?.0;
        let text = || String::from_utf8_lossy(text).into_owned();
        if kind == COMMON_NAME {
            return Some(text());
        }
        if kind == ORGANISATION {
            found = Some(text());
        }
    }
    found
}

/// The content of the first element, which must have this tag, and the rest.
fn of(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    if *found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7F => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::{Issuer, TIMEOUT, issuer, issuer_in, lock};
    use crate::thread::Ended;
    use proptest::prelude::*;
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    fn element(tag: u8, content: &[&[u8]]) -> Vec<u8> {
        let content = content.concat();
        [&[tag, 0x82, (content.len() >> 8) as u8, content.len() as u8], &content[..]].concat()
    }

    #[test]
    fn a_server_that_answers_byte_by_byte_has_one_deadline_for_all() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let drips = std::thread::Builder::new().spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            // The head of a long record that never ends.
            let bytes = [0x16, 3, 3, 0x40, 0].into_iter().chain([0; 60]);
            for byte in bytes {
                // The client has closed the connection if this fails.
                if stream.write_all(&[byte]).is_err() {
                    return;
                }
                match stream.read(&mut [0; 4096]) {
                    Ok(0) => return,
                    Err(why) if why.kind() != ErrorKind::WouldBlock => return,
                    _ => {}
                }
            }
        });
        let begun = Instant::now();
        assert_eq!(issuer("127.0.0.1", port), None);
        assert!(begun.elapsed() < 3 * TIMEOUT, "{:?}", begun.elapsed());
        drips.unwrap().join().unwrap();
    }

    #[test]
    fn a_silent_server_blocks_nothing_and_is_asked_once_at_a_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let issuer = Issuer::default();
        let begun = Instant::now();
        for _ in 0..10 {
            assert_eq!(issuer.of("127.0.0.1", port), None);
        }
        assert!(begun.elapsed() < TIMEOUT / 2, "{:?}", begun.elapsed());
        let (connection, _) = listener.accept().unwrap();
        let mut thread = lock(&issuer.asking).take().unwrap();
        assert_eq!(thread.join_by(begun + 10 * TIMEOUT), Ended::Returned);
        drop(connection);
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn the_common_name_takes_precedence_over_the_organisation() {
        let part = |kind: u8, text: &str| {
            let object = element(0x06, &[&[0x55, 0x04, kind]]);
            element(0x31, &[&element(0x30, &[&object, &element(0x0C, &[text.as_bytes()])])])
        };
        let certificate = |version: &[u8], name: &[&[u8]]| {
            let (serial, algorithm) = (element(0x02, &[&[7]]), element(0x30, &[]));
            element(0x30, &[&element(0x30, &[version, &serial, &algorithm, &element(0x30, name)])])
        };
        let version = element(0xA0, &[&[2, 1, 2]]);
        let (common, organisation) = (part(3, "Company Root"), part(10, "Company"));
        for (certificate, expected) in [
            (certificate(&version, &[&organisation, &common]), Some("Company Root")),
            (certificate(&[], &[&common]), Some("Company Root")),
            (certificate(&version, &[&organisation]), Some("Company")),
            (certificate(&version, &[]), None),
        ] {
            assert_eq!(issuer_in(&certificate).as_deref(), expected);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let found = issuer_in(&bytes);
            prop_assert!(found.is_none_or(|name| name.len() <= 3 * bytes.len()));
        }
    }
}
