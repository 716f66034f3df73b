//! Fields that this crate does not know.
//!
//! Pure.

use super::number::Number;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Fields of an object that have no place in its struct. An object that is read and written again
/// keeps them, so that nothing of a chart or an alert is lost.
///
/// ```
/// use zibrato_workers::librato::client::Extra;
/// let extra = Extra::new().with_text("room", "Ops").with_number("retries", 3);
/// assert_eq!(extra.text("room"), Some("Ops"));
/// assert_eq!(extra.json("retries").as_deref(), Some("3"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Extra(Map<String, Value>);

impl Extra {
    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a field to a text.
    #[must_use]
    pub fn with_text(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.0.insert(name.into(), Value::String(text.into()));
        self
    }

    /// Sets a field to a number. One that is not finite is `null`.
    #[must_use]
    pub fn with_number(mut self, name: impl Into<String>, number: impl Into<Number>) -> Self {
        let number = serde_json::to_value(number.into()).unwrap_or_default();
        self.0.insert(name.into(), number);
        self
    }

    /// Sets a field to `true` or `false`.
    #[must_use]
    pub fn with_flag(mut self, name: impl Into<String>, flag: bool) -> Self {
        self.0.insert(name.into(), Value::Bool(flag));
        self
    }

    /// Sets a field to a list of texts.
    #[must_use]
    pub fn with_texts<T: Into<String>>(
        mut self,
        name: impl Into<String>,
        texts: impl IntoIterator<Item = T>,
    ) -> Self {
        let texts = texts.into_iter().map(|text| Value::String(text.into()));
        self.0.insert(name.into(), texts.collect());
        self
    }

    /// Sets a field to any JSON.
    ///
    /// ```
    /// use zibrato_workers::librato::client::Extra;
    /// let extra = Extra::new().with_json("limits", "[1, 2]").unwrap();
    /// assert_eq!(extra.json("limits").as_deref(), Some("[1,2]"));
    /// assert!(Extra::new().with_json("limits", "[1, 2").is_err());
    /// ```
    ///
    /// # Errors
    /// If it is not JSON.
    pub fn with_json(
        mut self,
        name: impl Into<String>,
        json: &str,
    ) -> Result<Self, serde_json::Error> {
        self.0.insert(name.into(), serde_json::from_str(json)?);
        Ok(self)
    }

    /// A field, if it is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A field as JSON.
    #[must_use]
    pub fn json(&self, name: &str) -> Option<String> {
        self.0.get(name).map(Value::to_string)
    }

    /// The names of the fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
