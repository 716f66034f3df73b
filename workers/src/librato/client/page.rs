//! Lists of the server, which come in pages.

use super::connection::Client;
use super::error::Error;
use super::lenient::whole;
use super::request::Request;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::vec;

/// What to list, and in which order.
///
/// ```
/// use zibrato_workers::librato::client::{ListQuery, Sort};
/// let newest = ListQuery::new().name("cpu").order_by("updated_at").sort(Sort::Descending);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct ListQuery {
    fields: Vec<(String, String)>,
    offset: Option<u64>,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sort {
    /// The smallest first.
    Ascending,
    /// The largest first.
    Descending,
}

impl ListQuery {
    /// Everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only objects whose names contain this text, in whatever case.
    pub fn name(self, part: impl Into<String>) -> Self {
        self.param("name", part)
    }

    /// The number of objects before the first. Defaults to 0.
    pub const fn offset(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// The number of objects in a page, at most 100. Defaults to 100.
    pub fn length(self, length: u64) -> Self {
        self.param("length", length.to_string())
    }

    /// The field that determines the order. Defaults to `name`.
    pub fn order_by(self, field: impl Into<String>) -> Self {
        self.param("orderby", field)
    }

    /// The order. Defaults to ascending.
    pub fn sort(self, sort: Sort) -> Self {
        let word = match sort {
            Sort::Ascending => "asc",
            Sort::Descending => "desc",
        };
        self.param("sort", word)
    }

    /// Another parameter of the API. One that is given twice is sent twice.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    fn request(&self, path: &str, offset: Option<u64>) -> Result<Request, Error> {
        let fields = self.fields.iter().map(|(name, value)| (&**name, &**value));
        let request = Request::get(&[path])?.with_query(fields);
        let offset = offset.map(|offset| offset.to_string());
        Ok(request.with_query(offset.iter().map(|offset| ("offset", &**offset))))
    }
}

/// What a page is a part of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PageInfo {
    /// The number of objects that match.
    #[serde(deserialize_with = "whole")]
    pub found: Option<u64>,
    /// The number of objects in this page.
    #[serde(deserialize_with = "whole")]
    pub length: Option<u64>,
    /// The number of objects before it.
    #[serde(deserialize_with = "whole")]
    pub offset: Option<u64>,
    /// The number of all objects of this type.
    #[serde(deserialize_with = "whole")]
    pub total: Option<u64>,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The objects.
    pub items: Vec<T>,
    /// Its place in the list, if the server says so.
    pub query: Option<PageInfo>,
}

/// A type of which there are lists.
pub(super) trait Listed: DeserializeOwned {
    /// The path of the list, and the name of its array.
    const LIST: &'static str;
}

/// All objects of a list. A page is requested when its first object is.
///
/// After an error there are no further objects.
#[derive(Debug)]
#[must_use = "nothing is requested before the first object is"]
pub struct Pages<T> {
    client: Client,
    query: ListQuery,
    path: &'static str,
    page: vec::IntoIter<T>,
    /// The offset of the next page.
    next: Next,
    of: PhantomData<fn() -> T>,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    First,
    None,
    Offset(u64),
}

impl Client {
    pub(super) fn page<T: Listed>(&self, query: &ListQuery) -> Result<Page<T>, Error> {
        self.page_at(T::LIST, query, query.offset)
    }

    pub(super) fn pages<T: Listed>(&self, query: &ListQuery) -> Pages<T> {
        let (client, query) = (self.clone(), query.clone());
        let page = Vec::new().into_iter();
        Pages { client, query, path: T::LIST, page, next: Next::First, of: PhantomData }
    }

    fn page_at<T: DeserializeOwned>(
        &self,
        list: &str,
        query: &ListQuery,
        offset: Option<u64>,
    ) -> Result<Page<T>, Error> {
        let success = self.call(&query.request(list, offset)?)?;
        let fields: BTreeMap<String, Box<RawValue>> = success.decode()?;
        let Some(items) = fields.get(list) else {
            return Err(success.unreadable(format!("it has no field `{list}`")));
        };
        let unreadable = |why: serde_json::Error| success.unreadable(format!("`{list}`: {why}"));
        let items = serde_json::from_str(items.get()).map_err(unreadable)?;
        let query = fields.get("query").map(|query| serde_json::from_str(query.get()));
        Ok(Page { items, query: query.transpose().map_err(unreadable)? })
    }
}

impl<T: DeserializeOwned> Pages<T> {
    fn turn(&mut self, offset: Option<u64>) -> Result<(), Error> {
        let page = self.client.page_at(self.path, &self.query, offset)?;
        let items = page.items.len() as u64;
        self.page = page.items.into_iter();
        let Some(PageInfo { found, length, total, .. }) = page.query else { return Ok(()) };
        let length = length.unwrap_or(items);
        let end = offset.unwrap_or_default().saturating_add(length);
        // What does not match the query is in the total, but never comes.
        let all = found.or(total).unwrap_or_default();
        if length > 0 && end < all {
            self.next = Next::Offset(end);
        }
        Ok(())
    }
}

impl<T: DeserializeOwned> Iterator for Pages<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.page.next() {
                return Some(Ok(item));
            }
            let offset = match std::mem::replace(&mut self.next, Next::None) {
                Next::None => return None,
                Next::First => self.query.offset,
                Next::Offset(offset) => Some(offset),
            };
            if let Err(error) = self.turn(offset) {
                return Some(Err(error));
            }
        }
    }
}
