//! The trusted certificate authorities: those of the system, or those of `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` instead, and those of `--ca-file` in addition.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use ureq::tls::{Certificate, RootCerts};
use zibrato::daemon::{Exit, Failure, read_bounded};

/// The error about a file without certificates.
const NO_CERTIFICATE: &str = "contains no certificate in PEM format";

/// Maximum size of a PEM file.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The variables that replace the system's store.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The trusted authorities, and their number by origin.
#[derive(Debug)]
pub(super) struct Trust {
    pub(super) roots: RootCerts,
    count: usize,
    source: Source,
    ca_file: Option<(PathBuf, usize)>,
}

#[derive(Debug)]
enum Source {
    /// The system's store.
    System,
    /// Variables, with their values.
    Variables(String),
    /// Mozilla's list, which is built in, if the system has no store.
    Mozilla,
    /// Only `--ca-file`, if the system has no store.
    None,
}

impl Trust {
    /// Loads the authorities. `flag` is the flag of the file.
    pub(super) fn load(
        flag: &str,
        ca_file: Option<&Path>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let wrong = |why: String| Failure::new(Exit::Config, why);
        let set = VARIABLES.iter().filter_map(|name| Some((*name, variable(name)?)));
        let set: Vec<_> = set.filter(|(_, value)| !value.is_empty()).collect();
        let named: Vec<_> = set.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let named = named.join(" ");
        let path = |name: &str| {
            set.iter().find(|(known, _)| *known == name).map(|(_, value)| Path::new(value))
        };
        let (mut certificates, mut errors) = (Vec::new(), Vec::new());
        let mut add = |found: CertificateResult| {
            certificates.extend(found.certs);
            errors.extend(found.errors.iter().map(ToString::to_string));
        };
        match (path("SSL_CERT_FILE"), path("SSL_CERT_DIR")) {
            (None, None) => add(load_native_certs()),
            (file, folders) => {
                for folder in folders.into_iter().flat_map(std::env::split_paths) {
                    add(load_certs_from_paths(None, Some(&folder)));
                }
                match file.map(in_file) {
                    None => {}
                    Some(Ok(found)) => certificates.extend(found),
                    Some(Err(why)) => errors.insert(0, why),
                }
            }
        }
        if !set.is_empty() && certificates.is_empty() {
            let why = errors.first().map_or(NO_CERTIFICATE, String::as_str);
            return Err(wrong(format!("{named}: {why}")));
        }
        for why in &errors {
            tracing::warn!(event = "certificates_unreadable", from = named, why);
        }
        let mut source = match (set.is_empty(), certificates.is_empty()) {
            (false, _) => Source::Variables(named),
            (true, false) => Source::System,
            (true, true) => Source::Mozilla,
        };
        let mut of_file = None;
        if let Some(file) = ca_file {
            let found =
                in_file(file).map_err(|why| wrong(format!("{flag} {}: {why}", file.display())))?;
            if certificates.is_empty() {
                source = Source::None;
            }
            of_file = Some((file.to_owned(), found.len()));
            certificates.extend(found);
        }
        // Many systems have the same authorities in a file and in a folder.
        certificates.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
        certificates.dedup();
        let count = certificates.len();
        let roots = if certificates.is_empty() {
            RootCerts::WebPki
        } else {
            let owned = certificates.iter().map(|der| Certificate::from_der(der).to_owned());
            RootCerts::Specific(Arc::new(owned.collect()))
        };
        Ok(Self { roots, count, source, ca_file: of_file })
    }

    /// Logs at start what is trusted.
    pub(super) fn log(&self) {
        let (authorities, from) = (self.count, self.source.to_string());
        let ca_file =
            self.ca_file.as_ref().map(|(file, _)| tracing::field::display(file.display()));
        let of_ca_file = self.ca_file.as_ref().map(|(_, count)| *count as u64);
        match self.source {
            Source::Mozilla => tracing::info!(event = "trust", from),
            _ => tracing::info!(event = "trust", authorities, from, ca_file, of_ca_file),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("the system's store"),
            Self::Variables(named) => f.write_str(named),
            Self::Mozilla => f.write_str(
                "Mozilla's list, which is built in, because the system \
                                          has no store",
            ),
            Self::None => f.write_str("--ca-file alone, because the system has no store"),
        }
    }
}

/// The certificates in a PEM file, at least one; or the error.
fn in_file(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let (bytes, _) = read_bounded(file, MAX_FILE_BYTES).map_err(|error| error.to_string())?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Err(error) => Err(error.to_string()),
        Ok(found) if found.is_empty() => Err(NO_CERTIFICATE.to_owned()),
        Ok(found) => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::Trust;
    use std::path::Path;

    fn load(ca_file: Option<&Path>, variables: &[(&str, &str)]) -> Result<Trust, String> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Trust::load("--ca-file", ca_file, variable).map_err(|failure| failure.message)
    }

    #[test]
    fn an_authority_in_several_places_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let pem = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        std::fs::write(&file, pem.repeat(2)).unwrap();
        let (at, below) = (file.display().to_string(), folder.path().display().to_string());
        let trust = load(Some(&file), &[("SSL_CERT_FILE", &at), ("SSL_CERT_DIR", &below)]);
        assert_eq!(trust.unwrap().count, 1);
    }

    #[test]
    fn a_file_without_certificates_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (missing, empty) = (folder.path().join("missing"), folder.path().join("empty"));
        std::fs::write(&empty, "no certificate").unwrap();
        for file in [&missing, &empty] {
            let why = load(Some(file), &[]).unwrap_err();
            assert!(why.starts_with(&format!("--ca-file {}: ", file.display())), "{why}");
            let value = file.display().to_string();
            let why = load(None, &[("SSL_CERT_FILE", &value)]).unwrap_err();
            assert!(why.starts_with(&format!("SSL_CERT_FILE={value}: ")), "{why}");
        }
        let value = folder.path().display().to_string();
        assert!(load(None, &[("SSL_CERT_DIR", &value)]).unwrap_err().contains("SSL_CERT_DIR="));
        assert!(load(None, &[("SSL_CERT_FILE", "")]).is_ok());
        let why = load(Some(Path::new("/dev/zero")), &[]).unwrap_err();
        assert_eq!(why, "--ca-file /dev/zero: is larger than 16777216 bytes");
    }
}
