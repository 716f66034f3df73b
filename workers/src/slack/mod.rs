//! Slack: each window becomes one readable message, and each annotation another one, through a webhook
//! or `chat.postMessage`.

mod answer;
pub mod bus;
pub mod client;
mod digest;
mod event;
mod format;
mod history;
mod part;
mod words;

use crate::http::{Endpoint, HttpClient, Unanswered};
use crate::secret::{GivenSecret, Secret};
use crate::{Backend, BackendProgram, IdleGauges, Payload, SendError, Target};
use digest::{Digester, MAX_TITLE};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use zibrato::clock;
use zibrato::daemon::{Exit, Failure, seconds};
use zibrato::window::Window;

const DEFAULT_API_URL: &str = "https://slack.com/api";
const DEFAULT_TITLE: &str = "Zibrato";
const CONTENT_TYPE: &str = "application/json; charset=utf-8";

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
        }
    }
}

/// Posts each annotation, and a digest of each window to Slack: the series that changed most first,
/// each with a sparkline of its last 24 windows.
///
/// A counter shows its total and rate, a gauge its last reading with min, max and count, a timer or
/// histogram its count, mean, 99th percentile and max, a set the number of its members. The
/// sparkline of a timer or histogram follows its mean. A long name is truncated and ends in a hash
/// of the whole name.
#[derive(Debug)]
pub struct Slack {
    http: HttpClient,
    destination: Destination,
    digester: Digester,
    pace: Duration,
    posted: Option<Instant>,
}

#[derive(Debug)]
enum Destination {
    Channel { channel: String, token: Secret, authorization: Secret },
    Webhook { url: Secret, from: String },
}

impl Slack {
    fn payload(&self, text: &str, blocks: &[Value], series: usize) -> Payload {
        let body = match &self.destination {
            Destination::Channel { channel, .. } => json!({
                "channel": channel, "text": text, "blocks": blocks,
                "mrkdwn": false, "unfurl_links": false, "unfurl_media": false,
            }),
            Destination::Webhook { .. } => json!({"text": text, "blocks": blocks}),
        };
        Payload::new(body.to_string().into_bytes(), series)
    }
}

impl Backend for Slack {
    fn payloads(&mut self, window: Window) -> Vec<Payload> {
        let events = window.annotations().iter().map(event::message);
        let mut payloads: Vec<_> =
            events.map(|(text, blocks)| self.payload(&text, &blocks, 1)).collect();
        if let Some(digest) = self.digester.digest(window) {
            payloads.push(self.payload(&digest.text, &digest.blocks, digest.series));
        }
        payloads
    }

    fn destination(&self) -> Option<String> {
        let to = self.http.destination();
        Some(match &self.destination {
            Destination::Channel { channel, .. } => format!("{channel} at {to}"),
            Destination::Webhook { .. } => to,
        })
    }

    fn split(&self, payload: &Payload) -> Option<[Payload; 2]> {
        part::split(payload)
    }

    fn names(&self, payload: &Payload, most: usize) -> Vec<String> {
        part::names(payload, most)
    }

    /// Sends one message, once the pace allows it.
    fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
        if let Some(posted) = self.posted {
            std::thread::sleep(self.pace.saturating_sub(posted.elapsed()));
        }
        let authorization = match &self.destination {
            Destination::Channel { authorization, .. } => Some(authorization),
            Destination::Webhook { .. } => None,
        };
        let sent = self.http.post(authorization, CONTENT_TYPE, payload);
        self.posted = Some(Instant::now());
        let answer = sent.map_err(Unanswered::into_send_error)?;
        let now_ms = clock::unix_ms();
        match &self.destination {
            Destination::Channel { token, .. } => answer::judge_api(&answer, &[token], now_ms),
            Destination::Webhook { url, .. } => answer::judge_webhook(&answer, &[url], now_ms),
        }
    }
}

impl BackendProgram for Slack {
    type Flags = SlackFlags;

    const PROGRAM: &'static str = "zibrato-slack";

    const ABOUT: &'static str = "Posts a digest of the measurements of each window to Slack";

    const EXAMPLES: &'static str = "\
Examples:
  zibrato-slack --webhook-url-file /etc/zibrato/webhook --levels warn,crit --flush 300
  ZIBRATO_SLACK_TOKEN=xoxb-... zibrato-slack --channel '#metrics' --title 'Web shop'";

    /// Slack accepts one message per second and channel.
    const SHORTEST_FLUSH: Duration = Duration::from_secs(1);

    // A message that only repeats earlier values is noise.
    const IDLE_GAUGES: IdleGauges = IdleGauges::Omit;

    fn open(flags: SlackFlags) -> Result<Self, Failure> {
        let title = title(&flags.title)?;
        let webhook =
            Secret::from_flag("--webhook-url", flags.webhook_url, flags.webhook_url_file)?;
        let token = Secret::from_flag("--token", flags.token, flags.token_file)?;
        let channel = flags.channel.map(|channel| channel.trim().to_owned());
        let channel = channel.filter(|channel| !channel.is_empty());
        let destination = destination(webhook, token, channel)?;
        let endpoint = match &destination {
            Destination::Webhook { url, from } => Endpoint::parse(from, url.expose())?,
            Destination::Channel { .. } => {
                let api = flags.api_url.trim().trim_end_matches('/');
                Endpoint::parse("--api-url", &format!("{api}/chat.postMessage"))?
            }
        };
        Ok(Self {
            http: HttpClient::new(
                Self::PROGRAM,
                endpoint,
                flags.timeout,
                flags.ca_file.as_deref(),
            )?,
            destination,
            digester: Digester::new(title),
            pace: flags.pace,
            posted: None,
        })
    }

    fn target(&self) -> Option<Target> {
        let flag = match &self.destination {
            Destination::Channel { .. } => "--api-url",
            Destination::Webhook { from, .. } => from,
        };
        Some(self.http.target(flag))
    }
}

fn wrong(why: &str) -> Failure {
    Failure::new(Exit::Config, why)
}

fn title(text: &str) -> Result<String, Failure> {
    let title = text.trim();
    if title.is_empty() || title.chars().count() > MAX_TITLE {
        return Err(wrong("--title: expected 1 to 150 characters"));
    }
    if title.contains(|c: char| c.is_control() || matches!(c, '&' | '<' | '>')) {
        return Err(wrong("--title: must not contain & < > or line breaks, which Slack changes"));
    }
    Ok(title.to_owned())
}

/// The destination that the flags give.
fn destination(
    webhook: Option<GivenSecret>,
    token: Option<GivenSecret>,
    channel: Option<String>,
) -> Result<Destination, Failure> {
    match (webhook, token, channel) {
        (Some(GivenSecret { secret: url, from }), None, None) => {
            Ok(Destination::Webhook { url, from })
        }
        (None, Some(GivenSecret { secret: token, from }), Some(channel)) => {
            if !token.expose().chars().all(|c| c.is_ascii_graphic()) {
                return Err(wrong(&format!(
                    "{from}: contains a space or another character that a \
                                           token cannot have"
                )));
            }
            let authorization = Secret::new(format!("Bearer {}", token.expose()));
            Ok(Destination::Channel { channel, token, authorization })
        }
        (None, Some(_), None) => Err(wrong("--token needs a channel; give --channel")),
        (None, None, Some(_)) => {
            Err(wrong("--channel needs a token; give --token-file FILE or set ZIBRATO_SLACK_TOKEN"))
        }
        (Some(_), _, _) => Err(wrong(
            "a webhook has a fixed channel; give --webhook-url, or --token and --channel, but not \
             both",
        )),
        (None, None, None) => Err(wrong(
            "nowhere to post; give --webhook-url-file FILE or set ZIBRATO_SLACK_WEBHOOK_URL, or \
             give --channel and --token-file FILE",
        )),
    }
}

#[cfg(test)]
mod tests;
