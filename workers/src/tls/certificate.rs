//! Explains why a certificate is rejected.

use rustls::CertificateError;
use zibrato::daemon::one_line;

/// The error about a server that answers with something else than TLS.
pub(crate) const NO_TLS: &str =
    "the server does not speak TLS on this port; check the port of the address";

/// Maximum number of names of a certificate that are listed.
const MOST_NAMES: usize = 5;

/// What is wrong with a certificate, and what to do.
pub(crate) fn explain(error: &CertificateError) -> (String, &'static str) {
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
        CertificateError::NotValidForNameContext { presented, .. } => {
            return (another_host(presented), "use the host name that the certificate is for");
        }
        CertificateError::NotValidForName => {
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

/// Lists the names of a certificate, which rustls gives as `DnsName("a.example.com")` or
/// `IpAddress(127.0.0.1)`.
fn another_host(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        one_line(inner.unwrap_or(name).trim_matches('"'))
    };
    let names: Vec<_> = presented.iter().take(MOST_NAMES).map(bare).collect();
    match (names.is_empty(), presented.len().saturating_sub(MOST_NAMES)) {
        (true, _) => "it is for another host: it contains no host name".to_owned(),
        (false, 0) => format!("it is for another host: {}", names.join(", ")),
        (false, more) => format!("it is for another host: {} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::another_host;

    #[test]
    fn the_names_of_a_certificate_are_listed() {
        let listed = |names: &[&str]| {
            another_host(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(listed(&[]), "it is for another host: it contains no host name");
        let two = ["DnsName(\"a.example.com\")", "IpAddress(::1)"];
        assert_eq!(listed(&two), "it is for another host: a.example.com, ::1");
        let many = ["DnsName(\"a\n\")"; 7];
        let many = listed(&many);
        assert!(many.ends_with(" and 2 more") && !many.contains('\n'), "{many}");
    }
}
