//! The flags about TLS, and what they name: authorities, and a client certificate with its key.

use super::files::Files;
use super::verifier::Verifier;
use crate::carbon::address::Address;
use crate::tls::{Given, Trust, in_file};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zibrato::daemon::{Exit, Failure, read_bounded};

/// Maximum size of the file with a key.
const MAX_KEY_BYTES: u64 = 1 << 20;

/// The flags of `zibrato-carbon` about TLS.
#[derive(Debug, Clone, Default, clap::Args)]
#[non_exhaustive]
pub struct TlsFlags {
    /// PEM file of certificate authorities to trust, in addition to the system's (or those of
    /// SSL_CERT_FILE and SSL_CERT_DIR)
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Folder of PEM files of certificate authorities to trust, in addition to the same
    #[arg(long, value_name = "DIR")]
    pub ca_dir: Option<PathBuf>,

    /// PEM file of a client certificate for TLS, followed by those of intermediate authorities. Needs
    /// --client-key
    #[arg(long, value_name = "FILE")]
    pub client_cert: Option<PathBuf>,

    /// PEM file of the private key of --client-cert, unencrypted
    #[arg(long, value_name = "FILE")]
    pub client_key: Option<PathBuf>,
}

impl TlsFlags {
    /// Reads the files for these destinations. `None` if none of them uses TLS.
    ///
    /// # Errors
    /// If a file cannot be used, or files are given although no destination uses TLS.
    pub(crate) fn read<'a>(
        &self,
        destinations: impl IntoIterator<Item = &'a Address>,
    ) -> Result<Option<Tls>, Failure> {
        let is_used = destinations.into_iter().any(|address| address.protocol().is_tls());
        if is_used {
            return Tls::load(self).map(Some);
        }
        let Self { ca_file, ca_dir, client_cert, client_key } = self;
        for (flag, given) in [
            ("--ca-file", ca_file),
            ("--ca-dir", ca_dir),
            ("--client-cert", client_cert),
            ("--client-key", client_key),
        ] {
            if given.is_some() {
                return Err(wrong(format!(
                    "{flag} is for TLS, and --carbon does not use it; write --carbon \
                     tls://HOST:PORT, or pickle+tls://HOST:PORT"
                )));
            }
        }
        Ok(None)
    }
}

impl TlsFlags {
    /// The state of the files.
    fn files(&self) -> Files {
        let Self { ca_file, ca_dir, client_cert, client_key } = self;
        Files::of([ca_file, client_cert, client_key].into_iter().flatten(), ca_dir.as_ref())
    }
}

/// The trusted authorities, and the client certificate, for connections to Carbon with TLS. The files
/// of the flags are read again when they have changed and a connection is made.
#[derive(Debug, Clone)]
pub struct Tls {
    flags: TlsFlags,
    /// The state of these files when they were read.
    files: Files,
    verifier: Arc<WebPkiServerVerifier>,
    identity: Option<Arc<CertifiedKey>>,
}

impl Tls {
    /// Reads the files, and the authorities of the system.
    ///
    /// ```
    /// use zibrato_workers::carbon::{Carbon, Tls, TlsFlags};
    /// let mut flags = TlsFlags::default();
    /// flags.ca_file = Some("nowhere.pem".into());
    /// let failure = Tls::load(&flags).unwrap_err();
    /// assert!(failure.message.starts_with("--ca-file nowhere.pem: "));
    /// ```
    ///
    /// # Errors
    /// If a file cannot be used.
    pub fn load(flags: &TlsFlags) -> Result<Self, Failure> {
        // Before they are read, so that no change is missed.
        let files = flags.files();
        let identity = identity(flags.client_cert.as_deref(), flags.client_key.as_deref())?;
        let given = Given { file: flags.ca_file.as_deref(), folder: flags.ca_dir.as_deref() };
        let trust = Trust::load(given, |name| std::env::var(name).ok())?;
        let mut roots = RootCertStore::empty();
        if trust.authorities.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        } else {
            let (_, unusable) = roots.add_parsable_certificates(trust.authorities.iter().cloned());
            if roots.is_empty() {
                return Err(wrong(format!(
                    "none of the {unusable} trusted certificates can be used; check --ca-file and \
                     --ca-dir, and SSL_CERT_FILE and SSL_CERT_DIR"
                )));
            }
        }
        trust.log();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = verifier.build().map_err(|why| wrong(format!("TLS: {why}")))?;
        Ok(Self { flags: flags.clone(), files, verifier, identity })
    }

    /// What the files contain now; `None` if none of them has changed since this was last asked.
    pub(crate) fn changed(&mut self) -> Option<Result<Self, Failure>> {
        let files = self.flags.files();
        if files == self.files {
            return None;
        }
        self.files = files;
        Some(Self::load(&self.flags))
    }

    /// What connections to one address need.
    pub(crate) fn client(&self, address: &Address) -> Result<TlsClient, Failure> {
        let host = address.host();
        // The zone of an address, as in fe80::1%eth0, is not part of a certificate.
        let bare = host.split('%').next().unwrap_or_default().to_owned();
        let name = ServerName::try_from(bare).map_err(|why| {
            wrong(format!("--carbon: a certificate cannot be for the host {host}: {why}"))
        })?;
        let verifier = Arc::new(Verifier::new(Arc::clone(&self.verifier)));
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|why| wrong(format!("TLS: {why}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as _);
        let mut config = match &self.identity {
            Some(identity) => {
                let identity = SingleCertAndKey::from(Arc::clone(identity));
                config.with_client_cert_resolver(Arc::new(identity))
            }
            None => config.with_no_client_auth(),
        };
        // A resumed session would skip the verification of the certificate.
        config.resumption = Resumption::disabled();
        let has_identity = self.identity.is_some();
        Ok(TlsClient { config: Arc::new(config), name, verifier, has_identity })
    }
}

/// What connections to one address need: whom to trust, the name that its certificate must have, and
/// the client certificate.
#[derive(Debug, Clone)]
pub(crate) struct TlsClient {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
    pub(super) verifier: Arc<Verifier>,
    pub(super) has_identity: bool,
}

fn wrong(why: String) -> Failure {
    Failure::new(Exit::Config, why)
}

/// The client certificate and its key, if both are given.
fn identity(
    certificate: Option<&Path>,
    key: Option<&Path>,
) -> Result<Option<Arc<CertifiedKey>>, Failure> {
    let (certificate, key) = match (certificate, key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) => {
            return Err(wrong("--client-cert needs its private key; give --client-key".to_owned()));
        }
        (None, Some(_)) => {
            return Err(wrong("--client-key needs a certificate; give --client-cert".to_owned()));
        }
    };
    let of = |flag: &str, file: &Path, why: &dyn Display| {
        wrong(format!("{flag} {}: {why}", file.display()))
    };
    let chain: Vec<CertificateDer<'static>> =
        in_file(certificate).map_err(|why| of("--client-cert", certificate, &why))?;
    let secret = private_key(key).map_err(|why| of("--client-key", key, &why))?;
    let identity = CertifiedKey::from_der(chain, secret, &ring::default_provider());
    match identity {
        Ok(identity) => Ok(Some(Arc::new(identity))),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let why = format!("is not the key of the certificate in {}", certificate.display());
            Err(of("--client-key", key, &why))
        }
        Err(rustls::Error::InvalidCertificate(why)) => {
            Err(of("--client-cert", certificate, &format!("cannot be used: {why}")))
        }
        Err(why) => Err(of("--client-key", key, &format!("cannot be used: {why}"))),
    }
}

/// The private key in a PEM file; or the error, which does not show it.
fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let (bytes, _) = read_bounded(file, MAX_KEY_BYTES).map_err(|error| error.to_string())?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        let is_encrypted = bytes.windows(9).any(|text| text == b"ENCRYPTED");
        match is_encrypted {
            true => "the key is encrypted; decrypt it, for example with openssl pkey",
            false => "contains no private key in PEM format",
        }
        .to_owned()
    })
}
