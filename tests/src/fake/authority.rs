//! Certificates: an authority of its own, and what it issues.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A certificate authority that no system trusts.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// Creates an authority with this name.
    ///
    /// # Errors
    /// If no key can be created.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// Issues a certificate for these host names and addresses.
    ///
    /// # Errors
    /// If a name is invalid.
    pub fn issue(&self, names: &[&str]) -> anyhow::Result<Identity> {
        self.sign(params(names)?)
    }

    /// Issues a certificate that expired in 2020.
    ///
    /// # Errors
    /// If a name is invalid.
    pub fn issue_expired(&self, names: &[&str]) -> anyhow::Result<Identity> {
        let mut params = params(names)?;
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign(params)
    }

    /// Its certificate, in PEM format.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    fn sign(&self, params: CertificateParams) -> anyhow::Result<Identity> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn params(names: &[&str]) -> anyhow::Result<CertificateParams> {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    // Programs show this name; verification ignores it.
    if let Some(SanType::DnsName(name)) = params.subject_alt_names.first().cloned() {
        params.distinguished_name.push(DnType::CommonName, name.as_str());
    }
    Ok(params)
}

/// A certificate and its key, in PEM format.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl Identity {
    /// Writes both to files.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, certificate: &Path, key: &Path) -> io::Result<()> {
        std::fs::write(certificate, &self.certificate)?;
        std::fs::write(key, &self.key)
    }

    /// The configuration of a server with this certificate. With `clients`, it requires a certificate
    /// of that authority.
    ///
    /// # Errors
    /// If the certificate cannot be used.
    pub fn server(&self, clients: Option<&Authority>) -> anyhow::Result<Arc<ServerConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes())?)?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build()?)
            }
        };
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes())?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())?;
        Ok(Arc::new(builder.with_single_cert(vec![certificate], key)?))
    }
}
