//! The flags of `zibrato-slack`.

use super::alert::AlertFlags;
use super::bus::BusModeFlags;
use super::mode::Mode;
use crate::secret::Secret;
use std::path::PathBuf;
use std::time::Duration;
use zibrato::daemon::seconds;

const DEFAULT_API_URL: &str = "https://slack.com/api";
const DEFAULT_TITLE: &str = "Zibrato";

/// Slack's limit: one message per second and channel.
const DEFAULT_PACE: Duration = Duration::from_secs(1);

/// The flags of `zibrato-slack`.
#[derive(Debug, Clone, clap::Args)]
#[non_exhaustive]
#[command(next_help_heading = "Slack")]
pub struct SlackFlags {
    /// URL of an incoming webhook. It is a secret: prefer --webhook-url-file or a variable
    #[arg(long, value_name = "URL", hide_env_values = true)]
    pub webhook_url: Option<Secret>,

    /// File that contains the URL of the webhook
    #[arg(long, value_name = "FILE")]
    pub webhook_url_file: Option<PathBuf>,

    /// Token of a Slack app with the scope chat:write, instead of a webhook. Prefer --token-file or
    /// a variable
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<Secret>,

    /// File that contains the token
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Channel to post to with a token: its id (C0123ABCD) or #name
    #[arg(long, value_name = "CHANNEL")]
    pub channel: Option<String>,

    /// Base URL of the Web API. http:// is accepted for this machine only
    #[arg(long, value_name = "URL", default_value = DEFAULT_API_URL)]
    pub api_url: String,

    /// PEM file of certificate authorities to trust, in addition to the system's (or those of
    /// SSL_CERT_FILE and SSL_CERT_DIR)
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Title of each message
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_TITLE)]
    pub title: String,

    /// Timeout of a request, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds(0.001..=86_400.0))]
    pub timeout: Duration,

    /// Minimum time between two messages, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds(0.0..=86_400.0))]
    pub pace: Duration,

    /// What to post: `digest`, a message about each window; `alert`, messages when the alerts of
    /// --alert-rules begin and end; or `bus`, lines for `zibrato-slack relay`, which forwards them to
    /// a Carbon elsewhere
    #[arg(long, value_name = "WORD", default_value_t = Mode::Digest)]
    pub mode: Mode,

    /// Update one message with each digest instead of posting further ones. This file keeps which
    /// message it is. It needs a token
    #[arg(long, value_name = "FILE")]
    pub digest_update: Option<PathBuf>,

    /// The flags of alerts.
    #[command(flatten)]
    pub alert: AlertFlags,

    /// The flags of the metric bus.
    #[command(flatten)]
    pub bus: BusModeFlags,
}

impl SlackFlags {
    /// Flags that post through a webhook, with defaults for everything else, for programs that
    /// embed the backend.
    ///
    /// ```
    /// use zibrato_workers::slack::SlackFlags;
    /// let flags = SlackFlags::webhook("https://hooks.slack.com/services/T0/B0/XXX");
    /// assert_eq!(flags.title, "Zibrato");
    /// ```
    #[must_use]
    pub fn webhook(url: impl Into<String>) -> Self {
        Self { webhook_url: Some(Secret::new(url)), ..Self::unset() }
    }

    /// Flags that post to a channel with an app's token, with defaults for everything else.
    #[must_use]
    pub fn channel(token: impl Into<String>, channel: impl Into<String>) -> Self {
        let token = Some(Secret::new(token));
        Self { token, channel: Some(channel.into()), ..Self::unset() }
    }

    fn unset() -> Self {
        Self {
            webhook_url: None,
            webhook_url_file: None,
            token: None,
            token_file: None,
            channel: None,
            api_url: DEFAULT_API_URL.to_owned(),
            ca_file: None,
            title: DEFAULT_TITLE.to_owned(),
            timeout: Duration::from_secs(10),
            pace: DEFAULT_PACE,
            mode: Mode::Digest,
            digest_update: None,
            alert: AlertFlags::default(),
            bus: BusModeFlags::default(),
        }
    }
}
