//! Spaces: pages of charts.

use super::connection::Client;
use super::error::Error;
use super::extra::Extra;
use super::id::Id;
use super::page::{ListQuery, Listed, Page, Pages};
use super::request::Request;
use serde::{Deserialize, Serialize};

/// A space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Space {
    /// The identifier.
    pub id: Id,
    /// The name.
    pub name: String,
    /// Its charts. Lists do not have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<ChartId>,
    /// Whether its charts are about measurements with tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<bool>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The identifier of a chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChartId {
    /// The identifier.
    pub id: Id,
}

/// What a new space has, and what of a space can be changed.
#[derive(Debug, Serialize)]
struct Properties<'a> {
    name: &'a str,
    #[serde(flatten)]
    extra: &'a Extra,
}

/// Spaces; see [`Client::spaces`].
#[derive(Debug)]
pub struct Spaces<'a>(&'a Client);

impl Listed for Space {
    const LIST: &'static str = "spaces";
}

impl Client {
    /// The spaces of the account.
    #[must_use]
    pub const fn spaces(&self) -> Spaces<'_> {
        Spaces(self)
    }
}

impl Spaces<'_> {
    /// A page of the list of spaces.
    ///
    /// # Errors
    /// If the server rejects the request or does not answer.
    pub fn list(&self, query: &ListQuery) -> Result<Page<Space>, Error> {
        self.0.page(query)
    }

    /// All spaces, a page at a time.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials, ListQuery};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// for space in client.spaces().all(&ListQuery::new()) {
    ///     println!("{}", space?.name);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn all(&self, query: &ListQuery) -> Pages<Space> {
        self.0.pages(query)
    }

    /// A space, with the identifiers of its charts.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn get(&self, id: &Id) -> Result<Space, Error> {
        self.0.call(&Request::get(&["spaces", &id.to_string()])?)?.decode()
    }

    /// The space with this name, in whatever case, if there is one.
    ///
    /// # Errors
    /// If the server rejects the request or does not answer.
    pub fn find(&self, name: &str) -> Result<Option<Space>, Error> {
        let is_it = |space: &Space| space.name.to_lowercase() == name.to_lowercase();
        let mut all = self.all(&ListQuery::new().name(name));
        let found = all.find(|space| space.as_ref().map_or(true, is_it)).transpose()?;
        found.map(|space| self.get(&space.id)).transpose()
    }

    /// Creates a space.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Client, Credentials};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// let space = client.spaces().create("CPUs")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the server rejects the request or does not answer.
    pub fn create(&self, name: &str) -> Result<Space, Error> {
        self.create_with(name, &Extra::new())
    }

    /// Creates a space with further properties, such as `tags`.
    ///
    /// # Errors
    /// If the server rejects the request or does not answer.
    pub fn create_with(&self, name: &str, extra: &Extra) -> Result<Space, Error> {
        let body = Properties { name, extra };
        self.0.call(&Request::create(&["spaces"])?.with_body(&body)?)?.decode()
    }

    /// Changes the name of a space.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn rename(&self, id: &Id, name: &str) -> Result<(), Error> {
        let body = Properties { name, extra: &Extra::new() };
        self.0.call(&Request::put(&["spaces", &id.to_string()])?.with_body(&body)?).map(drop)
    }

    /// Deletes a space with all its charts.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn delete(&self, id: &Id) -> Result<(), Error> {
        self.0.call(&Request::delete(&["spaces", &id.to_string()])?).map(drop)
    }
}
