//! Alerts: rules about series, the incidents that they begin and end, and messages about them.
//!
//! [`engine`] says which alerts fire. [`announce`] compares that with what people were told, and posts
//! the difference: what may not be said now is not queued, it is still a difference later, or no longer
//! one. So nothing is told twice, and nothing that is over is told late. Rules, windows and times become
//! messages without side effects; [`store`] keeps the state in a file.

mod announce;
mod check;
mod engine;
mod fate;
mod file;
mod flags;
mod message;
mod mute;
mod pattern;
mod picture;
mod recorded;
mod rules;
mod state;
mod store;
mod value;
mod work;

pub(crate) use announce::Carrier;
pub(crate) use check::RulesProgram;
pub use flags::AlertFlags;
pub(crate) use work::Alerts;

#[cfg(test)]
mod tests;
