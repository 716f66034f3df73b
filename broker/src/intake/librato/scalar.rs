//! A field of a request, of whatever type it is.
//!
//! Clients send numbers as texts and leave fields empty, so a field is read without regard to its type,
//! and judged afterwards: then an error can name the measurement.
//!
//! Pure: takes bytes, opens nothing.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A field.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Scalar<'a> {
    /// It is missing or `null`.
    #[default]
    Absent,
    Bool(bool),
    /// Finite: JSON has no other numbers.
    Number(f64),
    Text(Cow<'a, str>),
    /// A list or an object.
    Nested,
}

/// The field has another type than the API expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrongType;

impl<'a> Scalar<'a> {
    /// Whether there is something.
    pub(super) const fn is_given(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    /// The number, which may be written as a text; `None` if that is empty.
    pub(super) fn number(&self) -> Result<Option<f64>, WrongType> {
        match self {
            Self::Absent => Ok(None),
            Self::Number(number) => Ok(Some(*number)),
            Self::Text(text) if text.trim().is_empty() => Ok(None),
            Self::Text(text) => match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Some(number)),
                Ok(_) | Err(_) => Err(WrongType),
            },
            Self::Bool(_) | Self::Nested => Err(WrongType),
        }
    }

    /// The text; `None` if it is empty.
    pub(super) fn text(&self) -> Result<Option<&str>, WrongType> {
        match self {
            Self::Absent => Ok(None),
            Self::Text(text) => Ok(Some(&**text).filter(|text| !text.is_empty())),
            Self::Bool(_) | Self::Number(_) | Self::Nested => Err(WrongType),
        }
    }

    /// The text of a value of a tag, which may be a number.
    pub(super) fn word(&self) -> Result<Option<Cow<'_, str>>, WrongType> {
        match self {
            Self::Number(number) => Ok(Some(number.to_string().into())),
            Self::Bool(value) => Ok(Some(value.to_string().into())),
            _ => self.text().map(|text| text.map(Cow::Borrowed)),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Scalar<'de>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Absent)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(value as f64))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nested)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nested)
    }
}

#[cfg(test)]
mod tests {
    use super::{Scalar, WrongType};

    #[test]
    fn a_number_may_be_a_text_and_a_text_no_number() {
        for (json, number, text) in [
            ("null", Ok(None), Ok(None)),
            ("1.5", Ok(Some(1.5)), Err(WrongType)),
            ("-3", Ok(Some(-3.0)), Err(WrongType)),
            ("18446744073709551615", Ok(Some(18_446_744_073_709_551_615.0)), Err(WrongType)),
            ("\" 1.046 \"", Ok(Some(1.046)), Ok(Some(" 1.046 "))),
            ("\"nan\"", Err(WrongType), Ok(Some("nan"))),
            ("\"-Infinity\"", Err(WrongType), Ok(Some("-Infinity"))),
            ("\"\"", Ok(None), Ok(None)),
            ("\" \"", Ok(None), Ok(Some(" "))),
            ("\"a\\u00e9\"", Err(WrongType), Ok(Some("aé"))),
            ("true", Err(WrongType), Err(WrongType)),
            ("[1,[2]]", Err(WrongType), Err(WrongType)),
            ("{\"a\":{}}", Err(WrongType), Err(WrongType)),
        ] {
            let scalar: Scalar<'_> = serde_json::from_str(json).unwrap();
            assert_eq!((scalar.number(), scalar.text()), (number, text), "{json}");
        }
        assert!(serde_json::from_str::<Scalar<'_>>("NaN").is_err());
        assert!(serde_json::from_str::<Scalar<'_>>("1e400").is_err());
    }
}
