//! The flags of the Librato intake.

use super::Librato;
use super::access::Access;
use crate::intake::host_port::HostPort;
use crate::intake::{IntakeFlags, SharedIntake, intake_level};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use zibrato::Level;
use zibrato::daemon::seconds;

/// What `zibrato-broker` knows about Librato.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Librato")]
pub(crate) struct LibratoFlags {
    /// Address for programs that speak the HTTP API of Librato or AppOptics, such as 127.0.0.1:8126; several are separated by commas. Needs --librato-users or --librato-open. Any address but loopback needs --insecure too, because HTTP is not encrypted
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', value_parser = str::parse::<HostPort>)]
    librato: Vec<HostPort>,

    /// File with the users of Librato's API and their tokens, a `user: token` in each line. It is read again when it changes
    #[arg(long, value_name = "FILE")]
    librato_users: Option<PathBuf>,

    /// Accept requests to Librato's API with any credentials or none. Only on loopback addresses
    #[arg(long)]
    librato_open: bool,

    /// Level of measurements received by Librato's API
    #[arg(long, value_name = "LEVEL", default_value = "librato", value_parser = intake_level)]
    librato_level: Level,

    /// Maximum age of a measurement received by Librato's API, in seconds. Requests with older ones are refused, as Librato did
    #[arg(long, value_name = "SECONDS", default_value = "7200", value_parser = seconds(1.0..=31_536_000.0))]
    librato_max_age: Duration,
}

impl IntakeFlags for LibratoFlags {
    fn intake(&self) -> Result<Option<SharedIntake>, String> {
        if self.librato.is_empty() {
            return Ok(None);
        }
        let access = match (&self.librato_users, self.librato_open) {
            (Some(file), false) => Access::Users(file.clone()),
            (None, true) => Access::Open,
            (Some(_), true) => {
                return Err("--librato-users and --librato-open exclude each other; give the \
                            users of the API, or accept everybody on this machine"
                    .to_owned());
            }
            (None, false) => {
                return Err("--librato needs --librato-users FILE, with lines `user: token`, or \
                            --librato-open, which accepts everybody on this machine"
                    .to_owned());
            }
        };
        Ok(Some(Arc::new(Librato {
            listen: self.librato.clone(),
            access,
            level: self.librato_level.clone(),
            max_age: self.librato_max_age.as_secs(),
        })))
    }
}
