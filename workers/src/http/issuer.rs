//! Finds the issuer of a certificate that is not trusted, for the log: connects to the server
//! again, and sends no request.
//!
//! The thread `zb-issuer` does this, so that a slow server blocks nothing.

use crate::thread::{Ended, OwnedThread};
use crate::tls::issuer_in;
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

#[cfg(test)]
mod tests {
    use super::{Issuer, TIMEOUT, issuer, lock};
    use crate::thread::Ended;
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

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
}
