//! Where messages go.
//!
//! Pure.

use super::blocks::MAX_HEADER;
use crate::secret::{GivenSecret, Secret};
use zibrato::daemon::{Exit, Failure};

/// A channel or a webhook.
#[derive(Debug)]
pub(super) enum Destination {
    Channel { channel: String, token: Secret, authorization: Secret },
    Webhook { url: Secret, from: String },
}

/// A mistake in the flags.
pub(super) fn wrong(why: &str) -> Failure {
    Failure::new(Exit::Config, why)
}

/// The title of messages.
pub(super) fn title(text: &str) -> Result<String, Failure> {
    let title = text.trim();
    if title.is_empty() || title.chars().count() > MAX_HEADER {
        return Err(wrong("--title: expected 1 to 150 characters"));
    }
    if title.contains(|c: char| c.is_control() || matches!(c, '&' | '<' | '>')) {
        return Err(wrong("--title: must not contain & < > or line breaks, which Slack changes"));
    }
    Ok(title.to_owned())
}

/// The destination that the flags give.
pub(super) fn destination(
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
