//! Annotations: streams and what they contain.

use super::connection::Client;
use super::error::Error;
use super::event::{Annotation, AnnotationStream};
use super::id::Id;
use super::measurements::Link;
use super::page::{ListQuery, Listed, Page, Pages};
use super::request::Request;
use serde::Serialize;

/// Annotations; see [`Client::annotations`].
#[derive(Debug)]
pub struct Annotations<'a>(&'a Client);

/// Which annotations of a stream are wanted. The API wants a start or a count.
///
/// ```
/// use zibrato_workers::librato::client::AnnotationQuery;
/// let query = AnnotationQuery::since(1_700_000_000).until(1_700_086_400).source("db1.acme");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct AnnotationQuery {
    fields: Vec<(String, String)>,
}

impl AnnotationQuery {
    /// Annotations from this time on, in Unix seconds.
    pub fn since(seconds: i64) -> Self {
        Self::default().param("start_time", seconds.to_string())
    }

    /// The last annotations, at most this number.
    pub fn last(count: u64) -> Self {
        Self::default().param("count", count.to_string())
    }

    /// Annotations up to this time, in Unix seconds.
    pub fn until(self, seconds: i64) -> Self {
        self.param("end_time", seconds.to_string())
    }

    /// Annotations of this source; call it again for another one.
    pub fn source(self, source: impl Into<String>) -> Self {
        self.param("sources[]", source)
    }

    /// Another parameter of the API.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }
}

impl Listed for AnnotationStream {
    const LIST: &'static str = "annotations";
}

impl Client {
    /// The annotations of the account.
    #[must_use]
    pub const fn annotations(&self) -> Annotations<'_> {
        Annotations(self)
    }
}

/// The names of a stream.
#[derive(Debug, Serialize)]
struct Names<'a> {
    name: &'a str,
    display_name: Option<&'a str>,
}

impl Annotations<'_> {
    /// A page of the list of streams.
    ///
    /// # Errors
    /// If the server rejects the request or does not answer.
    pub fn streams(&self, query: &ListQuery) -> Result<Page<AnnotationStream>, Error> {
        self.0.page(query)
    }

    /// All streams, a page at a time.
    pub fn all_streams(&self, query: &ListQuery) -> Pages<AnnotationStream> {
        self.0.pages(query)
    }

    /// A stream with annotations.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{AnnotationQuery, Client, Credentials};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// let stream = client.annotations().stream("deploys", &AnnotationQuery::last(20))?;
    /// for (source, events) in stream.events {
    ///     println!("{source}: {}", events.len());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn stream(&self, name: &str, query: &AnnotationQuery) -> Result<AnnotationStream, Error> {
        let fields = query.fields.iter().map(|(name, value)| (&**name, &**value));
        let request = Request::get(&["annotations", name])?.with_query(fields);
        self.0.call(&request)?.decode()
    }

    /// An annotation.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn get(&self, stream: &str, id: &Id) -> Result<Annotation, Error> {
        self.0.call(&Request::get(&["annotations", stream, &id.to_string()])?)?.decode()
    }

    /// Adds an annotation to a stream, which is created if it does not exist. Returns the annotation
    /// as the server describes it, at least with its identifier.
    ///
    /// ```no_run
    /// # use zibrato_workers::librato::client::{Annotation, Client, Credentials};
    /// # let client = Client::new(Credentials::from_env()?)?;
    /// let posted = client.annotations().post("deploys", &Annotation::new("v91").source("web"))?;
    /// println!("{:?}", posted.id);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the server rejects the annotation or does not answer.
    pub fn post(&self, stream: &str, annotation: &Annotation) -> Result<Annotation, Error> {
        let request = Request::create(&["annotations", stream])?.with_body(annotation)?;
        Ok(self.0.call(&request)?.decode_if_any()?.unwrap_or_else(|| annotation.clone()))
    }

    /// Changes an annotation, which has an identifier.
    ///
    /// # Errors
    /// If it has no identifier, there is none, or the server does not answer.
    pub fn update(&self, stream: &str, annotation: &Annotation) -> Result<(), Error> {
        let id = annotation.id.as_ref().ok_or(Error::Unsaved("annotation"))?.to_string();
        let request = Request::put(&["annotations", stream, &id])?;
        self.0.call(&request.with_body(&Annotation { id: None, ..annotation.clone() })?).map(drop)
    }

    /// Deletes an annotation.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn delete(&self, stream: &str, id: &Id) -> Result<(), Error> {
        self.0.call(&Request::delete(&["annotations", stream, &id.to_string()])?).map(drop)
    }

    /// Adds a link to an annotation. Its relation must be new there.
    ///
    /// # Errors
    /// If the server rejects the link or does not answer.
    pub fn add_link(&self, stream: &str, id: &Id, link: &Link) -> Result<(), Error> {
        let request = Request::create(&["annotations", stream, &id.to_string(), "links"])?;
        self.0.call(&request.with_body(link)?).map(drop)
    }

    /// Deletes the link with this relation.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn delete_link(&self, stream: &str, id: &Id, rel: &str) -> Result<(), Error> {
        let segments = ["annotations", stream, &id.to_string(), "links", rel];
        self.0.call(&Request::delete(&segments)?).map(drop)
    }

    /// Sets the name of a stream that people see. Returns the stream if the server describes it.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn update_stream(
        &self,
        name: &str,
        display_name: Option<&str>,
    ) -> Result<Option<AnnotationStream>, Error> {
        let request =
            Request::put(&["annotations", name])?.with_body(&Names { name, display_name })?;
        self.0.call(&request)?.decode_if_any()
    }

    /// Deletes a stream with all its annotations.
    ///
    /// # Errors
    /// If there is none, or the server does not answer.
    pub fn delete_stream(&self, name: &str) -> Result<(), Error> {
        self.0.call(&Request::delete(&["annotations", name])?).map(drop)
    }
}
