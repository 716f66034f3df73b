//! Services: whom an alert tells.

use super::connection::Client;
use super::error::Error;
use super::extra::Extra;
use super::id::Id;
use super::page::{ListQuery, Listed, Page, Pages};
use super::request::Request;
use serde::{Deserialize, Serialize};

/// A service that an alert tells: mail, a chat, a web hook.
///
/// ```
/// use zibrato_workers::librato::client::{Extra, Service};
/// let url = "https://hooks.slack.com/services/T0/B0/X";
/// let slack = Service::new("slack", "Ops").settings(Extra::new().with_text("url", url));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Service {
    /// The identifier, if the server has stored it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The type, such as `mail`, `slack` or `webhook`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The name that people see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the type needs, such as an address.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub settings: Extra,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A service that is stored already, for an alert.
impl From<Id> for Service {
    fn from(id: Id) -> Self {
        Self { id: Some(id), ..Self::default() }
    }
}

impl Service {
    /// A service that is not stored yet.
    #[must_use]
    pub fn new(kind: impl Into<String>, title: impl Into<String>) -> Self {
        Self { kind: Some(kind.into()), title: Some(title.into()), ..Self::default() }
    }

    /// What the type needs, such as an address. Defaults to nothing.
    #[must_use]
    pub fn settings(mut self, settings: Extra) -> Self {
        self.settings = settings;
        self
    }
}

/// Services; see [`Client::services`].
#[derive(Debug)]
pub struct Services<'a>(&'a Client);

impl Listed for Service {
    const LIST: &'static str = "services";
}

impl Client {
    /// The services of the account.
    #[must_use]
    pub const fn services(&self) -> Services<'_> {
        Services(self)
    }
}

impl Services<'_> {
    /// A page of the list of services.
    ///
    /// # Errors
    /// If the server rejects the request or does not answer.
    pub fn list(&self, query: &ListQuery) -> Result<Page<Service>, Error> {
        self.0.page(query)
    }

    /// All services, a page at a time.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials, ListQuery};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// for service in client.services().all(&ListQuery::new()) {
    ///     println!("{:?}", service?.title);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn all(&self, query: &ListQuery) -> Pages<Service> {
        self.0.pages(query)
    }

    /// A service.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn get(&self, id: &Id) -> Result<Service, Error> {
        self.0.call(&Request::get(&["services", &id.to_string()])?)?.decode()
    }

    /// Stores a service. Returns it with its identifier.
    ///
    /// # Errors
    /// If the server rejects the service or does not answer.
    pub fn create(&self, service: &Service) -> Result<Service, Error> {
        self.0.call(&Request::create(&["services"])?.with_body(service)?)?.decode()
    }

    /// Changes a service, which has an identifier.
    ///
    /// # Errors
    /// If it has no identifier, there is none, or the server does not answer.
    pub fn update(&self, service: &Service) -> Result<(), Error> {
        let id = service.id.as_ref().ok_or(Error::Unsaved("service"))?.to_string();
        let body = Service { id: None, ..service.clone() };
        self.0.call(&Request::put(&["services", &id])?.with_body(&body)?).map(drop)
    }

    /// Deletes a service.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn delete(&self, id: &Id) -> Result<(), Error> {
        self.0.call(&Request::delete(&["services", &id.to_string()])?).map(drop)
    }
}
