//! The flags of the CollectD intake.

use super::Collectd;
use super::datagram::{Options, SecurityLevel};
use crate::intake::host_port::HostPort;
use crate::intake::{IntakeFlags, SharedIntake, intake_level};
use std::path::PathBuf;
use std::sync::Arc;
use zibrato::{Level, check_name};

/// What `zibrato-broker` knows about CollectD.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "CollectD")]
pub(crate) struct CollectdFlags {
    /// Address for CollectD's network plugin over UDP, such as 127.0.0.1:25826 or the multicast group 239.192.74.66:25826; several are separated by commas. Any address but loopback needs --collectd-security-level sign or encrypt, or --insecure
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    collectd: Vec<HostPort>,

    /// File with the types of CollectD's values; several are separated by commas. It is read again when it changes. Defaults to types.db in /usr/share/collectd and /usr/local/share/collectd
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    collectd_types: Vec<PathBuf>,

    /// File with the users and passwords of signed and encrypted datagrams, a `user: password` in each line. It is read again when it changes
    #[arg(long, value_name = "FILE")]
    collectd_auth_file: Option<PathBuf>,

    /// Datagrams that are accepted: all, signed or encrypted ones, or encrypted ones
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t)]
    collectd_security_level: SecurityLevel,

    /// Accept a counter where types.db has a derive, and the reverse
    #[arg(long)]
    collectd_counter_eq_derive: bool,

    /// Omit the rate of a counter below 2^31 that became smaller, because it was reset. By default it has wrapped
    #[arg(long)]
    collectd_counter_resets: bool,

    /// Replace dots inside the parts of a name with this text, such as `_`. By default they separate parts
    #[arg(long, value_name = "TEXT", value_parser = part_of_name)]
    collectd_replace_dots: Option<String>,

    /// Level of measurements received by CollectD
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = intake_level)]
    collectd_level: Level,
}

/// Checks a text that becomes a part of names.
fn part_of_name(text: &str) -> Result<String, String> {
    match check_name(&format!(".{text}")) {
        Ok(()) => Ok(text.to_owned()),
        Err(error) => Err(format!("expected a text that names can contain, such as _: {error}")),
    }
}

impl CollectdFlags {
    /// The intake that they describe.
    pub(super) fn collectd(&self) -> Collectd {
        Collectd {
            listen: self.collectd.clone(),
            types: self.collectd_types.clone(),
            auth: self.collectd_auth_file.clone(),
            options: Options {
                security: self.collectd_security_level,
                counter_eq_derive: self.collectd_counter_eq_derive,
                counter_resets: self.collectd_counter_resets,
                dot: self.collectd_replace_dots.clone(),
            },
            level: Some(self.collectd_level.as_str().to_owned()),
        }
    }
}

impl IntakeFlags for CollectdFlags {
    fn intake(&self) -> Result<Option<SharedIntake>, String> {
        if self.collectd.is_empty() {
            return Ok(None);
        }
        Ok(Some(Arc::new(self.collectd())))
    }
}
