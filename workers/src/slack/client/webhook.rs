//! Incoming webhooks, which post to one channel.

use super::answer::judge_webhook;
use super::builder::{BuildError, ClientBuilder};
use super::connection::{Caller, Client, not_an_address};
use super::error::Error;
use super::messages::Post;
use super::method::{Pacer, WEBHOOK};
use super::pause::Pause;
use crate::http::HttpClient;
use crate::http::retry::RetryPolicy;
use crate::secret::Secret;
use std::sync::Mutex;
use zibrato::clock;

/// The longest answer that is read.
const MOST: u64 = 1 << 16;

/// An incoming webhook. Slack does not say which message was posted, so it cannot be changed later.
///
/// ```no_run
/// use zibrato_workers::slack::client::{Post, Webhook};
/// let webhook = Webhook::new("https://hooks.slack.com/services/T0/B0/XXX")?;
/// webhook.post(&Post::new("", "deployed"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Webhook {
    http: HttpClient,
    url: Secret,
    retries: RetryPolicy,
    pause: Pause,
    pacer: Mutex<Pacer>,
}

impl Webhook {
    /// A webhook with default settings.
    ///
    /// # Errors
    /// If the URL is not valid. The error does not show it.
    pub fn new(url: impl Into<String>) -> Result<Self, BuildError> {
        Self::with(url, &Client::builder(""))
    }

    /// A webhook with the settings of a client, without its token and URL.
    ///
    /// # Errors
    /// If the URL or another setting is not valid. The error does not show it.
    pub fn with(url: impl Into<String>, settings: &ClientBuilder) -> Result<Self, BuildError> {
        let url = Secret::new(url.into().trim());
        let http = settings.http("the URL of the webhook", url.expose())?;
        let (retries, pause) = (settings.retries.clone(), settings.pause.clone());
        Ok(Self { http, url, retries, pause, pacer: Mutex::default() })
    }

    /// Posts a message. Its channel does not matter.
    ///
    /// # Errors
    /// If Slack refuses it or does not answer.
    pub fn post(&self, post: &Post) -> Result<(), Error> {
        let caller = Caller {
            http: &self.http,
            uri: self.url.expose().parse().map_err(|_| not_an_address())?,
            retries: &self.retries,
            pause: &self.pause,
            pacer: &self.pacer,
            most: MOST,
        };
        let headers = [("Content-Type", "application/json; charset=utf-8")];
        caller.call(WEBHOOK, "", post.repeated(), &headers, &post.body(), |answer, _| {
            judge_webhook(WEBHOOK.name, answer, &[&self.url], clock::unix_ms())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Webhook;

    #[test]
    fn neither_an_error_nor_debug_output_shows_the_url() {
        let webhook = Webhook::new("https://hooks.slack.com/services/hunter2").unwrap();
        assert!(!format!("{webhook:?}").contains("hunter2"));
        for url in ["http://hooks.slack.com/hunter2", "hunter2", "https://h/?hunter2"] {
            let error = Webhook::new(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
