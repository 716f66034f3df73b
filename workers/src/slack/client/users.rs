//! Who one is, and who others are.

use super::connection::{Client, Fields};
use super::error::Error;
use super::method::{AUTH_TEST, USER};
use crate::http::retry::Repeat;
use serde_json::Value;

/// To whom a token belongs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The URL of the workspace.
    pub url: String,
    /// The name of the workspace.
    pub team: String,
    /// The id of the workspace.
    pub team_id: String,
    /// The name of the user or bot.
    pub user: String,
    /// Its id as a user.
    pub user_id: String,
    /// Its id as a bot, if it is one.
    pub bot_id: Option<String>,
}

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// The id.
    pub id: String,
    /// The short name.
    pub name: String,
    /// The name that people see.
    pub real_name: Option<String>,
    /// Whether it is a bot.
    pub is_bot: bool,
}

/// The text of a field, or an empty one.
pub(super) fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

impl Client {
    /// To whom the token belongs: `auth.test`.
    ///
    /// # Errors
    /// If the token is not valid, or Slack does not answer.
    pub fn auth_test(&self) -> Result<Identity, Error> {
        let answer = self.call(AUTH_TEST, &Fields::default(), Repeat::Safe)?;
        Ok(Identity {
            url: text(&answer, "url"),
            team: text(&answer, "team"),
            team_id: text(&answer, "team_id"),
            user: text(&answer, "user"),
            user_id: text(&answer, "user_id"),
            bot_id: answer["bot_id"].as_str().map(str::to_owned),
        })
    }

    /// A user, by id: `users.info`.
    ///
    /// # Errors
    /// If there is no such user, or the token has not the scope `users:read`.
    pub fn user(&self, id: &str) -> Result<User, Error> {
        let answer = self.call(USER, &Fields::default().with("user", id), Repeat::Safe)?;
        let user = &answer["user"];
        Ok(User {
            id: text(user, "id"),
            name: text(user, "name"),
            real_name: user["real_name"].as_str().map(str::to_owned),
            is_bot: user["is_bot"] == Value::Bool(true),
        })
    }
}
