//! The trusted certificate authorities: those of the system, or those of `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` instead, and those of `--ca-file` and `--ca-dir` in addition.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};
use std::fmt;
use std::path::{Path, PathBuf};
use zibrato::daemon::{Exit, Failure, read_bounded};

/// The error about a file without certificates.
const NO_CERTIFICATE: &str = "contains no certificate in PEM format";

/// Maximum size of a PEM file.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Maximum number of files that are read in the folder of `--ca-dir`.
const MOST_FILES: usize = 10_000;

/// The variables that replace the system's store.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The file of `--ca-file` and the folder of `--ca-dir`, if they are given.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Given<'a> {
    pub(crate) file: Option<&'a Path>,
    pub(crate) folder: Option<&'a Path>,
}

/// The trusted authorities, and their number by origin.
#[derive(Debug)]
pub(crate) struct Trust {
    /// Each once. Empty if Mozilla's list applies.
    pub(crate) authorities: Vec<CertificateDer<'static>>,
    source: Source,
    file: Option<(PathBuf, usize)>,
    folder: Option<(PathBuf, usize)>,
}

#[derive(Debug)]
enum Source {
    /// The system's store.
    System,
    /// Variables, with their values.
    Variables(String),
    /// Mozilla's list, which is built in, if the system has no store.
    Mozilla,
    /// Only `--ca-file` and `--ca-dir`, if the system has no store.
    None,
}

impl Trust {
    /// Loads the authorities.
    pub(crate) fn load(
        given: Given<'_>,
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
        let of_file = given.file.map(|file| {
            let found = in_file(file);
            found.map_err(|why| wrong(format!("--ca-file {}: {why}", file.display())))
        });
        let of_folder = given.folder.map(|folder| {
            let found = in_folder(folder);
            found.map_err(|why| wrong(format!("--ca-dir {}: {why}", folder.display())))
        });
        let (of_file, of_folder) = (of_file.transpose()?, of_folder.transpose()?);
        if certificates.is_empty() && (of_file.is_some() || of_folder.is_some()) {
            source = Source::None;
        }
        let count = |path: Option<&Path>, found: &Option<Vec<_>>| {
            Some((path?.to_owned(), found.as_ref()?.len()))
        };
        let (file, folder) = (count(given.file, &of_file), count(given.folder, &of_folder));
        certificates.extend(of_file.into_iter().chain(of_folder).flatten());
        // Many systems have the same authorities in a file and in a folder.
        certificates.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
        certificates.dedup();
        Ok(Self { authorities: certificates, source, file, folder })
    }

    /// Logs at start what is trusted.
    pub(crate) fn log(&self) {
        let (authorities, from) = (self.authorities.len(), self.source.to_string());
        let path = |given: &Option<(PathBuf, usize)>| {
            given.as_ref().map(|(path, _)| path.display().to_string())
        };
        let number =
            |given: &Option<(PathBuf, usize)>| given.as_ref().map(|(_, count)| *count as u64);
        let (ca_file, of_ca_file) = (path(&self.file), number(&self.file));
        let (ca_dir, of_ca_dir) = (path(&self.folder), number(&self.folder));
        match self.source {
            Source::Mozilla => tracing::info!(event = "trust", from),
            _ => tracing::info!(
                event = "trust",
                authorities,
                from,
                ca_file,
                of_ca_file,
                ca_dir,
                of_ca_dir
            ),
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
            Self::None => f.write_str("the flags alone, because the system has no store"),
        }
    }
}

/// The certificates in a PEM file, at least one; or the error.
pub(crate) fn in_file(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let (bytes, _) = read_bounded(file, MAX_FILE_BYTES).map_err(|error| error.to_string())?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Err(error) => Err(error.to_string()),
        Ok(found) if found.is_empty() => Err(NO_CERTIFICATE.to_owned()),
        Ok(found) => Ok(found),
    }
}

/// The certificates in the files of a folder, at least one; or the error. Files without certificates,
/// and folders in it, are skipped.
fn in_folder(folder: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for (number, entry) in entries.enumerate() {
        if number == MOST_FILES {
            return Err(format!("contains more than {MOST_FILES} files"));
        }
        let file = entry.map_err(|error| error.to_string())?.path();
        if !file.is_file() {
            continue;
        }
        match in_file(&file) {
            Ok(certificates) => found.extend(certificates),
            Err(why) if why == NO_CERTIFICATE => {}
            Err(why) => return Err(format!("{}: {why}", file.display())),
        }
    }
    if found.is_empty() {
        Err("no file in it contains a certificate".to_owned())
    } else {
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::{Given, Trust};
    use std::path::Path;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

    fn load(ca_file: Option<&Path>, variables: &[(&str, &str)]) -> Result<Trust, String> {
        load_given(Given { file: ca_file, folder: None }, variables)
    }

    fn load_given(given: Given<'_>, variables: &[(&str, &str)]) -> Result<Trust, String> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Trust::load(given, variable).map_err(|failure| failure.message)
    }

    #[test]
    fn an_authority_in_several_places_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, PEM.repeat(2)).unwrap();
        let (at, below) = (file.display().to_string(), folder.path().display().to_string());
        let trust = load(Some(&file), &[("SSL_CERT_FILE", &at), ("SSL_CERT_DIR", &below)]);
        assert_eq!(trust.unwrap().authorities.len(), 1);
        let given = Given { file: Some(&file), folder: Some(folder.path()) };
        assert_eq!(load_given(given, &[("SSL_CERT_FILE", &at)]).unwrap().authorities.len(), 1);
    }

    #[test]
    fn a_folder_has_certificates_among_other_files() {
        let folder = tempfile::tempdir().unwrap();
        let load = || load_given(Given { file: None, folder: Some(folder.path()) }, &[]);
        let begin = format!("--ca-dir {}: ", folder.path().display());
        std::fs::create_dir(folder.path().join("more.pem")).unwrap();
        std::fs::write(folder.path().join("README"), "authorities of the company").unwrap();
        assert_eq!(load().unwrap_err(), begin.clone() + "no file in it contains a certificate");
        let file = folder.path().join("ca.crt");
        std::fs::write(&file, PEM).unwrap();
        let of_folder = load().unwrap().folder;
        assert_eq!(of_folder, Some((folder.path().to_owned(), 1)));
        std::fs::write(&file, PEM.replace("MAA=", "M")).unwrap();
        let why = load().unwrap_err();
        assert!(why.starts_with(&(begin + &file.display().to_string())), "{why}");
        let missing = Given { file: None, folder: Some(Path::new("/nonexistent/authorities")) };
        let why = load_given(missing, &[]).unwrap_err();
        assert!(why.starts_with("--ca-dir /nonexistent/authorities: "), "{why}");
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
