//! What goes wrong at the fake on demand: answers of single methods, answers that are lost, and fields
//! that are missing.

use crate::fake::http::Reply;
use std::collections::{BTreeMap, VecDeque};

/// Everything that goes wrong.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// By method: the next answers, instead of those of the service.
    answers: BTreeMap<&'static str, VecDeque<Reply>>,
    /// By method: the number of calls that are made, but whose answers are lost.
    lost: BTreeMap<&'static str, usize>,
    /// By `ts`: the error code of each attempt to delete the message.
    undeletable: BTreeMap<String, &'static str>,
    /// Whether answers have no `Date`.
    has_no_date: bool,
    /// Whether pages have no cursor.
    pub(super) has_no_cursors: bool,
}

impl Faults {
    /// The answer that replaces that of the service, if there is one.
    pub(super) fn answer(&mut self, method: &str) -> Option<Reply> {
        self.answers.get_mut(method)?.pop_front()
    }

    /// The error code for the attempt to delete a message.
    pub(super) fn deletion(&self, ts: &str) -> Option<&'static str> {
        self.undeletable.get(ts).copied()
    }

    /// The answer as it arrives.
    pub(super) fn arrives(&mut self, method: &str, reply: Reply, date: &str) -> Reply {
        let reply = if self.has_no_date { reply } else { reply.header("Date", date) };
        match self.lost.get_mut(method).filter(|left| **left > 0) {
            Some(left) => {
                *left -= 1;
                reply.cut_after(0)
            }
            None => reply,
        }
    }
}

impl super::FakeSlack {
    /// Answers the next calls of a method with this, so often.
    pub fn answer_method(&self, method: &'static str, reply: Reply, times: usize) {
        self.server.change(|state| {
            let answers = state.faults.answers.entry(method).or_default();
            answers.extend(std::iter::repeat_n(reply, times));
        });
    }

    /// The next calls of a method are made, but their answers are lost, so often.
    pub fn lose_answers(&self, method: &'static str, times: usize) {
        self.server.change(|state| {
            state.faults.lost.insert(method, times);
        });
    }

    /// Each attempt to delete a message fails with this error code; `None` allows it.
    pub fn refuse_deletion(&self, ts: &str, word: Option<&'static str>) {
        self.server.change(|state| {
            match word {
                Some(word) => state.faults.undeletable.insert(ts.to_owned(), word),
                None => state.faults.undeletable.remove(ts),
            };
        });
    }

    /// Whether answers have no `Date`, as behind some proxies.
    pub fn hide_date(&self, hidden: bool) {
        self.server.change(|state| state.faults.has_no_date = hidden);
    }

    /// Whether pages say that there are more messages, but have no cursor.
    pub fn hide_cursors(&self, hidden: bool) {
        self.server.change(|state| state.faults.has_no_cursors = hidden);
    }

    /// Whether the apps are members of a channel.
    pub fn set_member(&self, channel: &str, member: bool) {
        self.change(|workspace| {
            if let Some(found) = workspace.channels.iter_mut().find(|known| known.id == channel) {
                found.is_member = member;
            }
        });
    }

    /// A bot posts a message that Slack does not split, however long it is. Returns its `ts`.
    pub fn post_whole_as(&self, token: &str, channel: &str, text: &str) -> String {
        self.change(|workspace| {
            let by = workspace.apps.get(token).map_or("B0UNKNOWN", |app| app.bot_id);
            let ts = workspace.add(channel, by, "", None);
            if let Some(stored) = workspace.stored(channel, &ts) {
                text.clone_into(&mut stored.text);
            }
            ts
        })
    }

    /// The number of calls of a method so far.
    #[must_use]
    pub fn calls(&self, method: &str) -> usize {
        let path = format!("/api/{method}");
        self.server.look(|state| state.requests.iter().filter(|call| call.path == path).count())
    }
}
