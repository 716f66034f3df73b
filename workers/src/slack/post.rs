//! Sends requests to Slack one after the other, within its limits.

use super::answer::{judge_api, judge_webhook};
use super::destination::Destination;
use super::{Slack, bus, part};
use crate::deliver::causes;
use crate::http::Unanswered;
use crate::{Payload, SendError};
use serde_json::{Value, json};
use zibrato::clock;

const CONTENT_TYPE: &str = "application/json; charset=utf-8";

impl Slack {
    pub(super) fn payload(&self, text: &str, blocks: &[Value], series: usize) -> Payload {
        let body = match &self.destination {
            Destination::Channel { channel, .. } => json!({
                "channel": channel, "text": text, "blocks": blocks,
                "mrkdwn": false, "unfurl_links": false, "unfurl_media": false,
            }),
            Destination::Webhook { .. } => json!({"text": text, "blocks": blocks}),
        };
        Payload::new(body.to_string().into_bytes(), series)
    }

    /// A message of the bus. Only a channel has them.
    pub(super) fn lines(&self, text: &str, series: usize) -> Option<Payload> {
        let Destination::Channel { channel, .. } = &self.destination else { return None };
        Some(Payload::new(bus::body(channel, text).to_string().into_bytes(), series))
    }

    /// Posts a digest, or updates the message that has the last one.
    pub(super) fn show(&mut self, payload: &Payload) -> Result<(), SendError> {
        if !part::is_digest(payload) {
            return self.post(payload).map(drop);
        }
        if let Some(update) = self.board.as_ref().and_then(|board| board.update(payload))
            && self.post(&update)?.is_some()
        {
            return Ok(());
        }
        let place = self.post(payload)?;
        if let Some(board) = &mut self.board {
            board.moves(place);
        }
        Ok(())
    }

    /// Sends one request, and returns the channel and the timestamp of the message if Slack tells
    /// them.
    pub(super) fn post(
        &mut self,
        payload: &Payload,
    ) -> Result<Option<(String, String)>, SendError> {
        let is_update = part::is_update(payload);
        std::thread::sleep(self.sent.wait(self.pace, is_update));
        let authorization = match &self.destination {
            Destination::Channel { authorization, .. } => Some(authorization),
            Destination::Webhook { .. } => None,
        };
        let updates = self.updates.as_ref().filter(|_| is_update);
        let http = updates.unwrap_or(&self.http);
        let answer = http.post(authorization, CONTENT_TYPE, payload);
        self.sent.note(is_update);
        let answer = answer.map_err(Unanswered::into_send_error)?;
        let now_ms = clock::unix_ms();
        match &self.destination {
            Destination::Channel { token, .. } => {
                let method = if updates.is_some() { "chat.update" } else { "chat.postMessage" };
                match judge_api(method, &answer, &[token], now_ms) {
                    // The message was deleted, or is too old to change. Its thread says the same.
                    Err(SendError::Reject { why }) if updates.is_some() => {
                        tracing::warn!(event = "update_refused", why = causes(&*why));
                        Ok(None)
                    }
                    judged => judged.map(|()| part::place(&answer.body)),
                }
            }
            Destination::Webhook { url, .. } => {
                judge_webhook(&answer, &[url], now_ms).map(|()| None)
            }
        }
    }
}
