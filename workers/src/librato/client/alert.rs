//! An alert, as the server describes it and as it is sent.
//!
//! Pure.

use super::condition::Condition;
use super::extra::Extra;
use super::id::Id;
use super::lenient::{or_default, whole};
use super::services::Service;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An alert: when it fires, and whom it tells.
///
/// ```
/// use zibrato_workers::librato::client::{Alert, Condition, Id};
/// let alert = Alert::new("attic.hot")
///     .condition(Condition::above("temperature", 30).duration(300))
///     .service(Id::from(849));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alert {
    /// The identifier, if the server has stored it.
    #[serde(default, skip_serializing)]
    pub id: Option<Id>,
    /// The name: up to 255 characters of `A-Z a-z 0-9 . : -`.
    pub name: String,
    /// Whether the conditions are about measurements with tags.
    #[serde(default, deserialize_with = "or_default")]
    pub md: bool,
    /// More about it.
    #[serde(default, deserialize_with = "or_default")]
    pub attributes: AlertAttributes,
    /// The version of its format.
    #[serde(default = "version", deserialize_with = "version_if_any")]
    pub version: u8,
    /// What it means.
    #[serde(default)]
    pub description: Option<String>,
    /// The number of seconds after which it may fire again, a multiple of 60. The default of the server
    /// is 600.
    #[serde(default, deserialize_with = "whole")]
    pub rearm_seconds: Option<u64>,
    /// Whether it can fire.
    #[serde(default = "active", deserialize_with = "active_if_any")]
    pub active: bool,
    /// Whom it tells. Only identifiers are sent.
    #[serde(default, serialize_with = "identifiers", deserialize_with = "services")]
    pub services: Vec<Service>,
    /// When it fires: if all of them hold. One that is sent without conditions loses those that it has.
    #[serde(default, deserialize_with = "or_default")]
    pub conditions: Vec<Condition>,
    /// When it was created, in Unix seconds. It is not sent back.
    #[serde(default, deserialize_with = "whole", skip_serializing)]
    pub created_at: Option<u64>,
    /// When it was changed, in Unix seconds. It is not sent back.
    #[serde(default, deserialize_with = "whole", skip_serializing)]
    pub updated_at: Option<u64>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// More about an alert.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AlertAttributes {
    /// Where people find what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook_url: Option<String>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What an alert is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AlertStatus {
    /// `ok` or `triggered`.
    pub status: String,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

const fn version() -> u8 {
    2
}

const fn active() -> bool {
    true
}

fn version_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(version))
}

fn active_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(active))
}

impl Alert {
    /// An alert that is not stored yet. It is active, and has no conditions.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            id: None,
            name: name.into(),
            md: false,
            attributes: AlertAttributes::default(),
            version: version(),
            description: None,
            rearm_seconds: None,
            active: active(),
            services: Vec::new(),
            conditions: Vec::new(),
            created_at: None,
            updated_at: None,
            extra: Extra::new(),
        }
    }

    /// Adds a condition.
    #[must_use]
    pub fn condition(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Adds a service, by itself or by its identifier.
    #[must_use]
    pub fn service(mut self, service: impl Into<Service>) -> Self {
        self.services.push(service.into());
        self
    }

    /// What it means. Defaults to nothing.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// The number of seconds after which it may fire again, a multiple of 60. Defaults to what the
    /// server chooses.
    #[must_use]
    pub const fn rearm_seconds(mut self, seconds: u64) -> Self {
        self.rearm_seconds = Some(seconds);
        self
    }
}

fn identifiers<S: Serializer>(services: &[Service], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(services.iter().filter_map(|service| service.id.as_ref()))
}

/// Services, or their identifiers.
fn services<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Service>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Id(Id),
        Service(Service),
    }
    let all = Option::<Vec<Given>>::deserialize(deserializer)?.unwrap_or_default();
    let service = |given| match given {
        Given::Id(id) => id.into(),
        Given::Service(service) => service,
    };
    Ok(all.into_iter().map(service).collect())
}
