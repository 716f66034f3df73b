//! Explains why a certificate is rejected.

use rustls::{AlertDescription, CertificateError};

/// The problem with a certificate, if the error is about one.
pub(super) fn error(error: &ureq::Error) -> Option<&CertificateError> {
    match tls_error(error)? {
        rustls::Error::InvalidCertificate(why) => Some(why),
        _ => None,
    }
}

/// Why a TLS connection is impossible, if that is known.
pub(super) fn no_tls(error: &ureq::Error) -> Option<&'static str> {
    match tls_error(error)? {
        rustls::Error::InvalidMessage(_) => {
            Some("the server does not speak TLS on this port; check the port of the address")
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            Some("the server requires a client certificate, which workers do not support")
        }
        _ => None,
    }
}

fn tls_error(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// What is wrong with a certificate, and what to do.
pub(super) fn explain(error: &CertificateError) -> (String, &'static str) {
    let (why, remedy) = match error {
        CertificateError::UnknownIssuer => (
            "its issuer is not a trusted authority",
            "give that authority's certificate with --ca-file or SSL_CERT_FILE",
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("it has expired", "renew it, or set the clock of this machine")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("it is not valid yet", "set the clock of this machine")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            ("it is for another host", "use the host name that the certificate is for")
        }
        // webpki has a variant for it, and rustls has none.
        other if other.to_string().contains("CaUsedAsEndEntity") => (
            "it is the certificate of an authority (CA:TRUE), which a server must not use",
            "give the server a certificate that the authority has issued, or a self-signed one with \
             CA:FALSE",
        ),
        other => {
            return (
                other.to_string(),
                "check the server's certificate, and proxies between it and this machine",
            );
        }
    };
    (why.to_owned(), remedy)
}
