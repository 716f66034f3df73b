//! The error codes of Slack's Web API, and what they mean.
//!
//! Pure.

/// What an error of Slack means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The token or the app is not allowed to do this. Nothing works until somebody fixes it.
    Access,
    /// The channel cannot be used until somebody fixes it.
    Channel,
    /// A cursor or a time of a list is not valid: begin the list again.
    Cursor,
    /// The message is not there. For a deletion that is a success.
    Gone,
    /// The message is not valid, and never will be.
    Message,
    /// Another error, which is final.
    Other,
    /// Too many requests: wait, and send the same one again.
    RateLimited,
    /// Slack has a problem. The request may have been processed.
    Transient,
    /// This message can never be deleted with this token.
    Undeletable,
}

/// The codes. One that ends in `*` stands for all codes with this prefix.
const WORDS: &[(&str, ErrorKind)] = &[
    ("account_inactive", ErrorKind::Access),
    ("cant_delete_message", ErrorKind::Undeletable),
    ("channel_not_found", ErrorKind::Channel),
    ("compliance_exports_prevent_deletion", ErrorKind::Undeletable),
    ("ekm_access_denied", ErrorKind::Channel),
    ("fatal_error", ErrorKind::Transient),
    ("file_uploads_disabled", ErrorKind::Access),
    ("internal_error", ErrorKind::Transient),
    ("invalid_auth", ErrorKind::Access),
    ("invalid_blocks*", ErrorKind::Message),
    ("invalid_cursor", ErrorKind::Cursor),
    ("invalid_ts_latest", ErrorKind::Cursor),
    ("invalid_ts_oldest", ErrorKind::Cursor),
    ("is_archived", ErrorKind::Channel),
    ("is_inactive", ErrorKind::Channel),
    ("message_limit_exceeded", ErrorKind::Channel),
    ("message_not_found", ErrorKind::Gone),
    ("missing_scope", ErrorKind::Access),
    ("msg_blocks_too_long", ErrorKind::Message),
    ("msg_too_long", ErrorKind::Message),
    ("no_permission", ErrorKind::Access),
    ("no_text", ErrorKind::Message),
    ("not_allowed_token_type", ErrorKind::Access),
    ("not_authed", ErrorKind::Access),
    ("not_in_channel", ErrorKind::Channel),
    ("rate_limited", ErrorKind::RateLimited),
    ("ratelimited", ErrorKind::RateLimited),
    ("request_timeout", ErrorKind::Transient),
    ("restricted_action*", ErrorKind::Channel),
    ("service_unavailable", ErrorKind::Transient),
    ("team_access_not_granted", ErrorKind::Access),
    ("token_expired", ErrorKind::Access),
    ("token_revoked", ErrorKind::Access),
    ("too_many_attachments", ErrorKind::Message),
];

/// What to do about error codes that a person can fix.
const HINTS: &[(&str, &str)] = &[
    (
        "account_inactive",
        "the token's account is closed: create a new token, and give it with --token-file",
    ),
    (
        "cant_delete_message",
        "a bot deletes only messages of its own app; send and relay with the same app",
    ),
    ("channel_not_found", "check --channel, and invite the app if the channel is private"),
    (
        "file_uploads_disabled",
        "the workspace allows no uploads: ask its administrators, or leave out --alert-picture",
    ),
    ("invalid_auth", "check --token-file (or --token)"),
    ("is_archived", "the channel is archived; choose another one with --channel"),
    ("is_inactive", "the channel is archived; choose another one with --channel"),
    ("message_limit_exceeded", "the workspace accepts no more messages: check its plan"),
    ("missing_scope", "give the app the scope chat:write, and reinstall it"),
    ("no_permission", "give the app the scope chat:write, and let it post in the channel"),
    ("not_allowed_token_type", "give a bot token (xoxb-…) with --token-file"),
    ("not_authed", "check --token-file (or --token)"),
    ("not_in_channel", "invite the app to the channel"),
    ("token_expired", "create a new token, and give it with --token-file"),
    ("token_revoked", "create a new token, and give it with --token-file"),
];

/// What a code means, if it is known.
pub(super) fn kind_of(word: &str) -> Option<ErrorKind> {
    let matches = |known: &str| match known.strip_suffix('*') {
        Some(beginning) => word.starts_with(beginning),
        None => word == known,
    };
    WORDS.iter().find(|(known, _)| matches(known)).map(|(_, kind)| *kind)
}

/// What helps against a code, if anything is known.
pub(super) fn hint_of(word: &str) -> Option<&'static str> {
    HINTS.iter().find(|(known, _)| *known == word).map(|(_, hint)| *hint)
}

/// A code, and what helps: the missing scope, if the answer names it.
pub(super) fn explained(word: &str, scopes: Option<(&str, &str)>) -> String {
    match (scopes, hint_of(word)) {
        (Some((needed, provided)), _) => {
            format!("{word}: the token has {provided} and needs {needed}")
        }
        (None, Some(hint)) => format!("{word}: {hint}"),
        (None, None) => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{ErrorKind, HINTS, WORDS, kind_of};

    #[test]
    fn the_tables_are_in_order_and_each_remedy_has_a_code() {
        assert!(WORDS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(HINTS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(HINTS.iter().all(|(word, _)| kind_of(word).is_some()));
        assert_eq!(kind_of("restricted_action_read_only_channel"), Some(ErrorKind::Channel));
        assert_eq!(kind_of("invalid_blocks_format"), Some(ErrorKind::Message));
        assert_eq!(kind_of("a_word_of_next_year"), None);
    }
}
