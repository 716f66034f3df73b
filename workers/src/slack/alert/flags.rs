//! The flags of alerts.

use super::Alerts;
use super::announce::Carrier;
use super::file::parse;
use super::rules::Rules;
use super::store::Store;
use crate::slack::client::ClientBuilder;
use std::path::{Path, PathBuf};
use zibrato::daemon::{Exit, Failure, read_bounded, state_folder, state_variable};

/// Maximum size of a rules file.
const MAX_BYTES: u64 = 1 << 20;

/// The flags of alerts.
#[derive(Debug, Clone, Default, clap::Args)]
#[non_exhaustive]
pub struct AlertFlags {
    /// TOML file with the rules of alerts, for --mode alert
    #[arg(long, value_name = "FILE")]
    pub alert_rules: Option<PathBuf>,

    /// File that keeps which alerts fire, so that a restart repeats none and forgets none. Each
    /// worker needs its own [default: alerts.json in $STATE_DIRECTORY, or in zibrato/zibrato-slack
    /// in $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "FILE")]
    pub alert_state: Option<PathBuf>,

    /// Post a picture of the curve in the thread of each alert. It needs a channel, and the app the
    /// scope files:write
    #[arg(long)]
    pub alert_picture: bool,
}

impl AlertFlags {
    /// Reads the rules. `uploads` are the settings of a client, if there is a token.
    pub(crate) fn open(
        self,
        carrier: Carrier,
        uploads: Option<ClientBuilder>,
    ) -> Result<Alerts, Failure> {
        let file = self.alert_rules.ok_or_else(|| {
            let why = "--mode alert needs rules; give --alert-rules FILE";
            Failure::new(Exit::Config, why)
        })?;
        let rules = read("--alert-rules ", &file)?;
        let state = match self.alert_state {
            Some(path) => path,
            None => state_folder("zibrato/zibrato-slack", state_variable)
                .map_err(|why| {
                    let why = format!(
                        "there is no folder for the state of alerts: {why}; give a file with \
                         --alert-state, or set STATE_DIRECTORY or HOME"
                    );
                    Failure::new(Exit::Config, why)
                })?
                .join("alerts.json"),
        };
        let alerts = Alerts::new(rules, carrier, Store::new(state));
        match (self.alert_picture, uploads) {
            (false, _) => Ok(alerts),
            (true, Some(uploads)) => alerts.with_pictures(uploads),
            (true, None) => {
                let why = "--alert-picture needs a channel: a webhook cannot upload files; give \
                           --token-file and --channel";
                Err(Failure::new(Exit::Config, why))
            }
        }
    }
}

/// Reads a rules file. `flag` is in front of its name in messages.
pub(super) fn read(flag: &str, file: &Path) -> Result<Rules, Failure> {
    let shown = file.display();
    let (bytes, _) = read_bounded(file, MAX_BYTES)
        .map_err(|why| Failure::new(Exit::Config, format!("{flag}{shown}: {why}")))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::new(Exit::Config, format!("{flag}{shown}: the file is not UTF-8")))?;
    parse(&text).map_err(|why| Failure::new(Exit::Config, format!("{flag}{shown}: {why}")))
}
