//! What a broker reloads at HUP.

use super::Broker;
use crate::curve::{AllowedError, Reloaded};
use crate::intake::rules::RulesError;

impl Broker {
    /// Reloads the list of allowed keys. Clients whose keys were removed can no longer send or
    /// receive. If keys were removed, all subscribers and readers are disconnected for a moment;
    /// those that are still allowed reconnect by themselves. Returns the differences, or `None` if
    /// the broker does not encrypt.
    ///
    /// # Errors
    /// [`AllowedError`] if the list is invalid; the previous one stays in force.
    pub fn reload_keys(&self) -> Result<Option<Reloaded>, AllowedError> {
        self.key_store.as_ref().map(|key_store| key_store.reload()).transpose()
    }

    /// Reloads the [rules](crate::Config::rules). Returns their number, or `None` if the broker has no rules
    /// file.
    ///
    /// # Errors
    /// [`RulesError`] if the file cannot be read or has an error; the previous rules stay in force.
    pub fn reload_rules(&self) -> Result<Option<usize>, RulesError> {
        self.rules.as_ref().map(|rules| rules.reload()).transpose()
    }

    pub(super) fn log_reload(&self) {
        match self.reload_rules() {
            Ok(None) => {}
            Ok(Some(rules)) => tracing::info!(event = "rules_reloaded", rules),
            Err(error) => {
                let why = "the previous rules stay in force";
                let error = error.to_string();
                tracing::error!(event = "reload_failed", error, why);
            }
        }
        match self.reload_keys() {
            Ok(None) if self.rules.is_some() => {}
            Ok(None) => {
                tracing::info!(
                    event = "reloaded",
                    why = "HUP reloads keys and rules, and the broker has neither"
                );
            }
            Ok(Some(Reloaded { allowed, added, revoked })) => {
                tracing::info!(event = "reloaded", allowed, added, revoked);
                if allowed == 0 {
                    tracing::warn!(
                        event = "no_keys_allowed",
                        why = "the list has no keys, so no \
                                                                     client can connect"
                    );
                }
            }
            Err(error) => {
                let why = "the previous list stays in force";
                let error = error.to_string();
                tracing::error!(event = "reload_failed", error, why);
            }
        }
    }
}
