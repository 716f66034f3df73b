//! Messages and requests of Slack: kinds `carbon-slack-original`, `message-parse`, `escape-outbound`,
//! `decode-inbound`, `chunk-outbound`, `outbound-alert`, `outbound-digest`, `ts-compare`, `sparkline`,
//! `web-api`.
//!
//! The strict readings of messages are compared, not what carbon-slack did.

mod calls;
mod original;
mod outbound;
mod texts;

pub(crate) use calls::check as check_call;
pub(crate) use original::check as check_original;
pub(crate) use outbound::{check_alert, check_digest};
pub(crate) use texts::{
    check_chunks, check_decode, check_escape, check_message, check_sparkline, check_ts,
};

/// The kinds whose cases have fields of their own instead of `input` and `expect`.
pub(crate) const KINDS: &[&str] = &[
    "carbon-slack-original",
    "chunk-outbound",
    "decode-inbound",
    "escape-outbound",
    "message-parse",
    "outbound-alert",
    "outbound-digest",
    "sparkline",
    "ts-compare",
    "web-api",
];
