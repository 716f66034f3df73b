//! CollectD's value lists as its plugin `write_http` writes them, before they are judged.
//!
//! ```text
//! [{"values": [197, null], "dstypes": ["derive", "gauge"], "dsnames": ["read", "x"],
//!   "time": 1251533299.265, "interval": 10.000, "host": "web-1", "plugin": "disk",
//!   "plugin_instance": "sda", "type": "disk_octets", "type_instance": ""}, …]
//! ```
//!
//! Pure: takes bytes, opens nothing.

use super::lenient::{AnyType, Key, Lenient, deserialize_leniently};
use super::payload::MAX_MEASUREMENTS;
use super::scalar::Scalar;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Maximum number of values that are kept of one list. CollectD's types have far fewer.
pub(super) const MAX_VALUES: usize = 100;

/// Whether a body is a list, and so one of value lists.
pub(super) fn is_list(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'[')
}

/// The value lists of a request.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ValueLists<'a> {
    pub(super) lists: Vec<ValueList<'a>>,
    /// The number of values, at least one for each list. Those of lists that are not kept, because there
    /// are too many, are one each.
    pub(super) values: usize,
}

/// The fields of one list.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ValueList<'a> {
    /// Whether it is not an object.
    pub(super) is_wrong: bool,
    pub(super) host: Scalar<'a>,
    pub(super) plugin: Scalar<'a>,
    pub(super) plugin_instance: Scalar<'a>,
    pub(super) type_name: Scalar<'a>,
    pub(super) type_instance: Scalar<'a>,
    pub(super) time: Scalar<'a>,
    pub(super) interval: Scalar<'a>,
    pub(super) values: Elements<Exact>,
    /// The kinds of the values, by their words in `types.db`.
    pub(super) kinds: Elements<Scalar<'a>>,
    pub(super) names: Elements<Scalar<'a>>,
}

/// The elements of a list, or [`MAX_VALUES`] and one of them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Elements<T> {
    /// Whether it is something else than a list.
    pub(super) is_wrong: bool,
    pub(super) all: Vec<T>,
}

/// A number, of which all digits are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Exact {
    Float(f64),
    Signed(i64),
    Unsigned(u64),
    /// What CollectD writes for a value that is not a number, or that it does not know.
    #[default]
    Null,
    Wrong,
}

impl<'a> ValueLists<'a> {
    /// Reads JSON.
    ///
    /// # Errors
    /// If it is not JSON, or not a list.
    pub(super) fn of_json(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    fn add(&mut self, list: ValueList<'a>) {
        self.values += list.values.all.len().max(1);
        self.lists.push(list);
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for ValueLists<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = ValueLists<'de>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a list of CollectD's value lists")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut all = ValueLists::default();
                while all.values <= MAX_MEASUREMENTS {
                    let Some(one) = list.next_element()? else { return Ok(all) };
                    all.add(one);
                }
                while list.next_element::<IgnoredAny>()?.is_some() {
                    all.values += 1;
                }
                Ok(all)
            }
        }
        from.deserialize_seq(List)
    }
}

deserialize_leniently!(ValueList);

impl<'de> Lenient<'de> for ValueList<'de> {
    fn wrong() -> Self {
        Self { is_wrong: true, ..Self::default() }
    }

    fn of_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut list = Self::default();
        while let Some(Key(key)) = map.next_key()? {
            match &*key {
                "values" => list.values = map.next_value()?,
                "dstypes" => list.kinds = map.next_value()?,
                "dsnames" => list.names = map.next_value()?,
                "host" => list.host = map.next_value()?,
                "plugin" => list.plugin = map.next_value()?,
                "plugin_instance" => list.plugin_instance = map.next_value()?,
                "type" => list.type_name = map.next_value()?,
                "type_instance" => list.type_instance = map.next_value()?,
                "time" => list.time = map.next_value()?,
                "interval" => list.interval = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(list)
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Elements<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        AnyType::<Self>::read(from)
    }
}

impl<'de, T: Deserialize<'de> + Default> Lenient<'de> for Elements<T> {
    fn wrong() -> Self {
        Self { is_wrong: true, all: Vec::new() }
    }

    fn of_list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut all = Vec::new();
        while all.len() <= MAX_VALUES {
            let Some(one) = list.next_element()? else { return Ok(Self { is_wrong: false, all }) };
            all.push(one);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self { is_wrong: false, all })
    }

    fn of_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::wrong())
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Number;
        impl<'de> Visitor<'de> for Number {
            type Value = Exact;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("any value")
            }

            fn visit_unit<E>(self) -> Result<Exact, E> {
                Ok(Exact::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Exact, E> {
                Ok(Exact::Wrong)
            }

            fn visit_f64<E>(self, value: f64) -> Result<Exact, E> {
                Ok(Exact::Float(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Exact, E> {
                Ok(Exact::Unsigned(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Exact, E> {
                Ok(Exact::Signed(value))
            }

            fn visit_str<E>(self, _: &str) -> Result<Exact, E> {
                Ok(Exact::Wrong)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Exact, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Exact::Wrong)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Exact, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Exact::Wrong)
            }
        }
        from.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::{Exact, MAX_VALUES, ValueLists, is_list};
    use crate::intake::librato::payload::MAX_MEASUREMENTS;

    #[test]
    fn numbers_keep_all_digits_and_fields_may_have_any_type() {
        let json = r#"[{"values": [18446744073709551615, -9223372036854775808, 1.5, null, "1", {}],
            "dstypes": {"a": []}, "dsnames": ["a", 2], "host": 7, "meta": {"x": [1]}}, 5, [[]]]"#;
        let lists = ValueLists::of_json(json).unwrap();
        let [first, second, third] = &lists.lists[..] else { panic!("{lists:?}") };
        let expected = [
            Exact::Unsigned(u64::MAX),
            Exact::Signed(i64::MIN),
            Exact::Float(1.5),
            Exact::Null,
            Exact::Wrong,
            Exact::Wrong,
        ];
        assert_eq!((first.values.all.as_slice(), lists.values), (&expected[..], 8));
        assert!(first.kinds.is_wrong && !first.names.is_wrong && first.names.all.len() == 2);
        assert!(second.is_wrong && third.is_wrong && !first.is_wrong);
        for wrong in ["{}", "[", "[{]", "[1,]", "[{\"values\": [NaN]}]"] {
            assert!(ValueLists::of_json(wrong).is_err(), "{wrong}");
        }
        assert!(is_list(b" \n[") && !is_list(b"{\"a\": []}") && !is_list(b""));
    }

    #[test]
    fn lists_and_values_are_bounded() {
        let many = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        let list = format!("[{{\"values\": {}}}]", many(1_000));
        let lists = ValueLists::of_json(&list).unwrap();
        assert_eq!(lists.lists[0].values.all.len(), MAX_VALUES + 1);
        let all = many(3 * MAX_MEASUREMENTS);
        let lists = ValueLists::of_json(&all).unwrap();
        assert_eq!(lists.values, 3 * MAX_MEASUREMENTS);
        assert_eq!(lists.lists.len(), MAX_MEASUREMENTS + 1);
    }
}
