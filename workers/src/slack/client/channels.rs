//! Channels: finding and joining them.

use super::connection::{Client, Fields};
use super::error::Error;
use super::method::{INFO, JOIN, LIST};
use super::page::{Page, Pages};
use super::users::text;
use crate::http::retry::Repeat;
use serde_json::Value;

/// The number of channels in a page.
const PAGE: u16 = 200;

/// A channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Channel {
    /// The id, such as `C0123456789`.
    pub id: String,
    /// The name, without `#`.
    pub name: String,
    /// The name as Slack compares it.
    pub name_normalized: String,
    /// Names that it had before.
    pub previous_names: Vec<String>,
    /// Whether the app is a member.
    pub is_member: bool,
    /// Whether only members see it.
    pub is_private: bool,
    /// Whether it is archived.
    pub is_archived: bool,
}

/// Which channels to list.
///
/// ```
/// use zibrato_workers::slack::client::ChannelQuery;
/// let query = ChannelQuery::new().types("public_channel").limit(100);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ChannelQuery {
    types: Option<String>,
    exclude_archived: Option<bool>,
    limit: u16,
}

impl Default for ChannelQuery {
    fn default() -> Self {
        Self { types: None, exclude_archived: None, limit: PAGE }
    }
}

impl ChannelQuery {
    /// All public channels.
    pub fn new() -> Self {
        Self::default()
    }

    /// The types, separated by commas, such as `public_channel,private_channel`.
    pub fn types(mut self, types: impl Into<String>) -> Self {
        self.types = Some(types.into());
        self
    }

    /// Whether archived channels are left out.
    pub const fn exclude_archived(mut self, exclude: bool) -> Self {
        self.exclude_archived = Some(exclude);
        self
    }

    /// The number of channels in a page. Defaults to 200.
    pub const fn limit(mut self, limit: u16) -> Self {
        self.limit = limit;
        self
    }
}

impl Channel {
    fn read(value: &Value) -> Option<Self> {
        let is = |field: &str| value[field] == Value::Bool(true);
        let previous = value["previous_names"].as_array();
        let previous = previous.into_iter().flatten().filter_map(Value::as_str);
        Some(Self {
            id: value["id"].as_str()?.to_owned(),
            name: text(value, "name"),
            name_normalized: text(value, "name_normalized"),
            previous_names: previous.map(str::to_owned).collect(),
            is_member: is("is_member"),
            is_private: is("is_private") || is("is_group"),
            is_archived: is("is_archived"),
        })
    }
}

/// Whether a text is the id of a channel and not a name, which has no capital letters.
pub(crate) fn is_id(text: &str) -> bool {
    text.starts_with(['C', 'D', 'G'])
        && text.len() > 1
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

impl Client {
    /// A page of channels: `conversations.list`.
    ///
    /// # Errors
    /// If the token has not the scope, or Slack does not answer.
    pub fn channel_page(
        &self,
        query: &ChannelQuery,
        cursor: Option<&str>,
    ) -> Result<Page<Channel>, Error> {
        let fields = Fields::default()
            .with("limit", query.limit)
            .with_any("types", query.types.as_deref())
            .with_any("exclude_archived", query.exclude_archived)
            .with_any("cursor", cursor);
        let answer = self.call(LIST, &fields, Repeat::Safe)?;
        let all = answer["channels"].as_array().map(Vec::as_slice).unwrap_or_default();
        let items: Vec<_> = all.iter().filter_map(Channel::read).collect();
        Ok(Page { next_cursor: next_cursor(&answer), unreadable: all.len() - items.len(), items })
    }

    /// All channels that the app sees.
    pub fn channels(&self, query: &ChannelQuery) -> impl Iterator<Item = Result<Channel, Error>> {
        Pages::new(move |cursor| self.channel_page(query, cursor))
    }

    /// A channel, by id: `conversations.info`.
    ///
    /// # Errors
    /// If there is no such channel, the app may not see it, or Slack does not answer.
    pub fn channel(&self, id: &str) -> Result<Channel, Error> {
        let answer = self.call(INFO, &Fields::default().with("channel", id), Repeat::Safe)?;
        one(&answer)
    }

    /// Joins a public channel: `conversations.join`. To join twice is no error.
    ///
    /// # Errors
    /// If the channel is private or archived, the token has not the scope, or Slack does not answer.
    pub fn join(&self, id: &str) -> Result<Channel, Error> {
        let answer = self.call(JOIN, &Fields::default().with("channel", id), Repeat::Safe)?;
        one(&answer)
    }

    /// A channel, by id or by name, with or without `#`. A name may be one that it had before. Names of
    /// private channels need the scope `groups:read`.
    ///
    /// # Errors
    /// [`Error::NoChannel`], or an error of the calls.
    pub fn find_channel(&self, channel: &str) -> Result<Channel, Error> {
        let name = channel.trim();
        if is_id(name) {
            return self.channel(name);
        }
        let name = name.trim_start_matches('#');
        let query = ChannelQuery::new().exclude_archived(true);
        let all = self.named(name, &query.clone().types("public_channel,private_channel"));
        match all {
            Err(Error::Refused(refused)) if refused.needed.as_deref() == Some("groups:read") => {
                self.named(name, &query.types("public_channel"))
            }
            other => other,
        }
    }

    fn named(&self, name: &str, query: &ChannelQuery) -> Result<Channel, Error> {
        let (mut former, mut seen) = (None, 0);
        for channel in self.channels(query) {
            let channel = channel?;
            seen += 1;
            if channel.name == name || channel.name_normalized == name {
                return Ok(channel);
            }
            if former.is_none() && channel.previous_names.iter().any(|other| other == name) {
                former = Some(channel);
            }
        }
        former.ok_or_else(|| Error::NoChannel { name: name.to_owned(), seen })
    }
}

fn one(answer: &Value) -> Result<Channel, Error> {
    let why = || Error::Unreadable { status: 200, why: "it has no channel".to_owned() };
    Channel::read(&answer["channel"]).ok_or_else(why)
}

/// Where the next page begins; an empty cursor ends a list.
pub(super) fn next_cursor(answer: &Value) -> Option<String> {
    let cursor = answer["response_metadata"]["next_cursor"].as_str();
    cursor.filter(|cursor| !cursor.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_id_has_capital_letters_and_a_name_has_none() {
        for id in ["C0METRICS", "G012AB", "C1", "D0"] {
            assert!(super::is_id(id), "{id}");
        }
        for name in ["metrics", "#metrics", "C", "c0metrics", "C-1", "", "METRICS"] {
            assert!(!super::is_id(name), "{name}");
        }
    }
}
