//! Why a connection is impossible until something is changed, and what that is.

use super::flags::TlsClient;
use crate::tls::{NO_TLS, explain};
use rustls::{AlertDescription, Error};
use std::io::{self, ErrorKind};

/// An error about TLS, as a sentence that says what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Hindrance {
    text: String,
    /// Whether only an operator can remove it.
    needs_operator: bool,
}

impl Hindrance {
    const fn of_operator(text: String) -> Self {
        Self { text, needs_operator: true }
    }

    const fn passing(text: String) -> Self {
        Self { text, needs_operator: false }
    }

    /// The settings are wrong.
    pub(crate) const fn of_settings(text: String) -> Self {
        Self::of_operator(text)
    }

    /// A connection without TLS to a server that expects it.
    pub(crate) fn needs_tls() -> Self {
        let text = "the server expects TLS on this port; write tls:// in front of its address, or \
                    pickle+tls:// for pickles";
        Self::of_operator(text.to_owned())
    }

    /// Whether only an operator can remove it.
    pub(crate) const fn needs_operator(&self) -> bool {
        self.needs_operator
    }

    /// The hindrance that an error is about.
    pub(crate) fn find(why: &io::Error) -> Option<&Self> {
        why.get_ref()?.downcast_ref()
    }

    /// An error during the handshake.
    pub(super) fn of_handshake(why: io::Error, client: &TlsClient) -> io::Error {
        let hindrance = match tls_error(&why) {
            Some(error) => Self::of_tls(error, client),
            None => match why.kind() {
                ErrorKind::TimedOut => Self::passing(format!(
                    "the server does not complete the TLS handshake in time; {CHECK_PORT}"
                )),
                ErrorKind::UnexpectedEof
                | ErrorKind::BrokenPipe
                | ErrorKind::ConnectionAborted
                | ErrorKind::ConnectionReset => Self::passing(format!(
                    "the server closes the connection during the TLS handshake; {CHECK_PORT}"
                )),
                _ => return why,
            },
        };
        hindrance.into()
    }

    /// An error after the handshake: a server may reject a client certificate only then.
    pub(super) fn of_session(error: Error, client: &TlsClient) -> io::Error {
        match &error {
            Error::AlertReceived(alert) => match Self::of_certificate(*alert, client) {
                Some(hindrance) => hindrance.into(),
                None => io::Error::new(ErrorKind::ConnectionAborted, error),
            },
            _ => io::Error::new(ErrorKind::ConnectionAborted, error),
        }
    }

    fn of_tls(error: &Error, client: &TlsClient) -> Self {
        let host = client.name.to_str();
        match error {
            Error::InvalidCertificate(why) => {
                let issuer = client.verifier.issuer();
                let issuer =
                    issuer.map(|name| format!(", issued by {name:?},")).unwrap_or_default();
                let (why, remedy) = explain(why);
                Self::of_operator(format!(
                    "the certificate of {host}{issuer} is rejected: {why}; {remedy}"
                ))
            }
            Error::InvalidMessage(_) => Self::passing(format!("{NO_TLS}, or leave out tls://")),
            Error::AlertReceived(AlertDescription::UnrecognisedName) => Self::of_operator(format!(
                "the server has no certificate for the name {host}; use the host name that it \
                 expects"
            )),
            Error::AlertReceived(AlertDescription::ProtocolVersion) => {
                Self::of_operator("the server supports neither TLS 1.2 nor TLS 1.3".to_owned())
            }
            Error::AlertReceived(alert) => Self::of_certificate(*alert, client)
                .unwrap_or_else(|| Self::passing(format!("the TLS handshake failed: {error}"))),
            _ => Self::passing(format!("the TLS handshake failed: {error}")),
        }
    }

    /// The hindrance, if an alert is about the client certificate.
    fn of_certificate(alert: AlertDescription, client: &TlsClient) -> Option<Self> {
        use AlertDescription::{
            AccessDenied, BadCertificate, CertificateExpired, CertificateRequired,
            CertificateRevoked, CertificateUnknown, DecryptError, HandshakeFailure, UnknownCA,
            UnsupportedCertificate,
        };
        let text = match (alert, client.has_identity) {
            (CertificateRequired, false) => {
                "the server requires a client certificate; give --client-cert and --client-key"
                    .to_owned()
            }
            (CertificateExpired, true) => {
                "the server rejects the client certificate, because it has expired; renew the file \
                 of --client-cert"
                    .to_owned()
            }
            (UnknownCA, true) => {
                "the server rejects the client certificate, because it does not trust its issuer; \
                 give one of an authority that it trusts with --client-cert"
                    .to_owned()
            }
            (
                AccessDenied
                | BadCertificate
                | CertificateRequired
                | CertificateRevoked
                | CertificateUnknown
                | DecryptError
                | UnsupportedCertificate,
                true,
            ) => format!(
                "the server rejects the client certificate ({alert:?}); check the file of \
                 --client-cert, and which authorities the server trusts"
            ),
            (AccessDenied | BadCertificate | CertificateUnknown | HandshakeFailure, false) => {
                format!(
                    "the server refuses the connection ({alert:?}); if it requires a client \
                     certificate, give --client-cert and --client-key"
                )
            }
            _ => return None,
        };
        Some(Self::of_operator(text))
    }
}

/// What to do if a server does not answer as a TLS server does.
const CHECK_PORT: &str =
    "check that it speaks TLS on this port, or leave out tls:// (pickle:// for pickles)";

impl From<Hindrance> for io::Error {
    fn from(hindrance: Hindrance) -> Self {
        Self::new(ErrorKind::ConnectionAborted, hindrance)
    }
}

fn tls_error(why: &io::Error) -> Option<&Error> {
    why.get_ref()?.downcast_ref()
}
