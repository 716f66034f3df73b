//! The CollectD intake: CollectD's binary network protocol over UDP.
//!
//! ```text
//! datagram ─▶ parts ─▶ signature, decryption ─▶ value lists ─▶ rates ─▶ names ─▶ gauges
//!                      (auth file)              (types.db)     (last readings)
//! ```

mod auth;
mod converter;
mod crypt;
mod datagram;
mod files;
mod flags;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod listeners;
mod names;
mod parts;
mod rates;
mod receive;
#[cfg(feature = "fuzzing")]
pub(crate) mod recorded;
mod rejected;
#[cfg(any(test, feature = "fuzzing"))]
mod sealing;
mod shown;
mod types_db;
mod value_list;

pub(crate) use converter::{Converter, Sample};
pub(crate) use flags::CollectdFlags;
pub(crate) use parts::UNITS_PER_SECOND;
pub(crate) use receive::{fields, line};
pub(crate) use shown::{Identity, Types};
pub(crate) use types_db::{DataSource, SourceKind};
pub(crate) use value_list::{ListId, MAX_TEXT_BYTES};

use super::flag_error::{Collected, FlagError};
use super::host_port::HostPort;
use super::udp::Udp;
use super::{Intake, IntakeError, OpenIntake, Unprotected};
use datagram::{Decoder, Options, SecurityLevel};
use files::Files;
use listeners::bind;
use std::path::PathBuf;

/// The CollectD intake. It listens at the addresses that are added.
///
/// ```no_run
/// use zibrato_broker::{Broker, Collectd, Config};
/// let collectd = Collectd::new().listen("127.0.0.1:25826")?;
/// let broker = Broker::start(Config::new().intake(collectd))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Collectd {
    listen: Vec<HostPort>,
    types: Vec<PathBuf>,
    auth: Option<PathBuf>,
    options: Options,
    level: Option<String>,
}

impl Collectd {
    /// Listens nowhere yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a UDP port: `HOST:PORT`. A host that is a multicast group is joined. With port 0 the
    /// system chooses one.
    ///
    /// # Errors
    /// If the address is not of this form.
    pub fn listen(mut self, address: &str) -> Result<Self, String> {
        self.listen.push(address.parse()?);
        Ok(self)
    }

    /// Adds a `types.db` file, which is read again when it changes. A type in a later file replaces
    /// one of the same name. Defaults to the file of an installed CollectD.
    pub fn types_db(mut self, file: impl Into<PathBuf>) -> Self {
        self.types.push(file.into());
        self
    }

    /// The file with the users that sign or encrypt, and their passwords: `user: password` in each
    /// line. It is read again when it changes.
    pub fn auth_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.auth = Some(file.into());
        self
    }

    /// Accepts only signed and encrypted datagrams. Needs an [`auth_file`](Self::auth_file).
    pub const fn require_signatures(mut self) -> Self {
        self.options.security = SecurityLevel::Sign;
        self
    }

    /// Accepts only encrypted datagrams. Needs an [`auth_file`](Self::auth_file).
    pub const fn require_encryption(mut self) -> Self {
        self.options.security = SecurityLevel::Encrypt;
        self
    }

    /// Accepts a counter where `types.db` has a derive, and the reverse. `types.db` decides how it
    /// is read. By default such values are rejected.
    pub const fn counter_eq_derive(mut self) -> Self {
        self.options.counter_eq_derive = true;
        self
    }

    /// The level of what is received. Defaults to
    /// [`Config::intake_level`](crate::Config::intake_level).
    pub fn level(mut self, level: &zibrato::Level) -> Self {
        self.level = Some(level.as_str().to_owned());
        self
    }

    fn check_security(&self) -> Result<(), FlagError> {
        if self.options.security == SecurityLevel::None || self.auth.is_some() {
            return Ok(());
        }
        let why = "it needs --collectd-auth-file, a file with lines `user: password`";
        let level = if self.options.security == SecurityLevel::Sign { "sign" } else { "encrypt" };
        Err(FlagError::invalid("--collectd-security-level", level, why))
    }
}

fn bind_flag(address: &HostPort) -> Result<Udp, FlagError> {
    const FLAG: &str = "--collectd";
    let at = address.resolve(FLAG)?;
    bind(at).map_err(|error| FlagError::of_bind(FLAG, address, at, &error))
}

impl Intake for Collectd {
    fn name(&self) -> &'static str {
        "collectd"
    }

    fn levels(&self) -> Vec<String> {
        self.level.iter().cloned().collect()
    }

    fn unprotected(&self) -> Vec<Unprotected> {
        if self.options.security > SecurityLevel::None {
            return Vec::new();
        }
        let remedy = "require signatures with --collectd-security-level sign";
        let open = |address| Unprotected::new("--collectd", address).or(remedy);
        self.listen.iter().map(open).collect()
    }

    fn warnings(&self) -> Vec<String> {
        Files::new(&self.types, self.auth.as_deref()).examine()
    }

    fn open(&self) -> Result<OpenIntake, IntakeError> {
        let mut errors = Collected::default();
        errors.take(self.check_security());
        let mut files = Files::new(&self.types, self.auth.as_deref());
        let types = errors.take(files.read_types().map_err(FlagError::from)).unwrap_or_default();
        let users = errors.take(files.read_users().map_err(FlagError::from)).flatten();
        if self.options.security > SecurityLevel::None {
            errors.take(files.check_users(users.as_ref()).map_err(FlagError::from));
        }
        let decoder = Decoder::new(self.options.clone(), types, users);
        let mut sockets = Vec::new();
        let mut addresses = Vec::new();
        for address in &self.listen {
            let Some(socket) = errors.take(bind_flag(address)) else { continue };
            addresses.push(socket.socket.local_addr()?.to_string());
            sockets.push(socket);
        }
        errors.finish()?;
        let level = self.level.clone();
        Ok(OpenIntake::new(addresses.join(","), move |context| {
            receive::run(context, sockets, files, decoder, level);
            Ok(())
        }))
    }
}
