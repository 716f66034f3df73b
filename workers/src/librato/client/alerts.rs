//! Alerts: list, get, create, change, delete.

use super::alert::{Alert, AlertStatus};
use super::connection::Client;
use super::error::Error;
use super::id::Id;
use super::page::{ListQuery, Listed, Page, Pages};
use super::request::Request;
use serde::Serialize;

/// Alerts; see [`Client::alerts`].
#[derive(Debug)]
pub struct Alerts<'a>(&'a Client);

impl Listed for Alert {
    const LIST: &'static str = "alerts";
}

impl Client {
    /// The alerts of the account.
    #[must_use]
    pub const fn alerts(&self) -> Alerts<'_> {
        Alerts(self)
    }
}

impl Alerts<'_> {
    /// A page of the list of alerts, active or not.
    ///
    /// # Errors
    /// If the server rejects the request or does not answer.
    pub fn list(&self, query: &ListQuery) -> Result<Page<Alert>, Error> {
        self.0.page(query)
    }

    /// All alerts, active or not, a page at a time.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials, ListQuery};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// for alert in client.alerts().all(&ListQuery::new()) {
    ///     let alert = alert?;
    ///     if alert.active {
    ///         println!("{}", alert.name);
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn all(&self, query: &ListQuery) -> Pages<Alert> {
        self.0.pages(query)
    }

    /// The alert with exactly this name, if there is one.
    ///
    /// # Errors
    /// If the server rejects the request or does not answer.
    pub fn find(&self, name: &str) -> Result<Option<Alert>, Error> {
        // The server gives all alerts whose names contain this one.
        let mut all = self.all(&ListQuery::new().name(name));
        all.find(|alert| alert.as_ref().map_or(true, |alert| alert.name == name)).transpose()
    }

    /// The alert with this identifier.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn get(&self, id: &Id) -> Result<Alert, Error> {
        self.0.call(&Request::get(&["alerts", &id.to_string()])?)?.decode()
    }

    /// Stores an alert. Returns it with its identifier.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Alert, Client, Condition, Credentials, Id};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// let hot = Condition::above("temperature", 30).duration(300);
    /// let alert = Alert::new("attic.hot").condition(hot).service(Id::from(849));
    /// let alert = client.alerts().create(&alert)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the server rejects the alert or does not answer.
    pub fn create(&self, alert: &Alert) -> Result<Alert, Error> {
        self.0.call(&Request::create(&["alerts"])?.with_body(alert)?)?.decode()
    }

    /// Changes an alert, which has an identifier. Everything of it is sent.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// if let Some(mut alert) = client.alerts().find("attic.hot")? {
    ///     alert.active = false;
    ///     client.alerts().update(&alert)?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If it has no identifier, there is none, or the server does not answer.
    pub fn update(&self, alert: &Alert) -> Result<(), Error> {
        let id = alert.id.as_ref().ok_or(Error::Unsaved("alert"))?.to_string();
        self.0.call(&Request::put(&["alerts", &id])?.with_body(alert)?).map(drop)
    }

    /// Deletes the alert with exactly this name. Returns whether there was one.
    ///
    /// # Errors
    /// If the server rejects the request or does not answer.
    pub fn delete_named(&self, name: &str) -> Result<bool, Error> {
        let Some(alert) = self.find(name)? else { return Ok(false) };
        self.delete(&alert.id.ok_or(Error::Unsaved("alert"))?)?;
        Ok(true)
    }

    /// Deletes an alert.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn delete(&self, id: &Id) -> Result<(), Error> {
        self.0.call(&Request::delete(&["alerts", &id.to_string()])?).map(drop)
    }

    /// Whether an alert has fired.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn status(&self, id: &Id) -> Result<AlertStatus, Error> {
        self.0.call(&Request::get(&["alerts", &id.to_string(), "status"])?)?.decode()
    }

    /// Ends the state of an alert that has fired.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn clear(&self, id: &Id) -> Result<(), Error> {
        self.0.call(&Request::create(&["alerts", &id.to_string(), "clear"])?).map(drop)
    }

    /// Adds a service to an alert.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn add_service(&self, id: &Id, service: &Id) -> Result<(), Error> {
        let request = Request::create(&["alerts", &id.to_string(), "services"])?;
        self.0.call(&request.with_body(&ServiceId { service })?).map(drop)
    }

    /// Removes a service from an alert.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn remove_service(&self, id: &Id, service: &Id) -> Result<(), Error> {
        let segments = ["alerts", &id.to_string(), "services", &service.to_string()];
        self.0.call(&Request::delete(&segments)?).map(drop)
    }
}

#[derive(Debug, Serialize)]
struct ServiceId<'a> {
    service: &'a Id,
}
