//! Values of requests that may have any type, so that a wrong one can be named instead of refusing all.
//!
//! Pure: takes bytes, opens nothing.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A key, borrowed where it has no escapes.
pub(super) struct Key<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Cow<'de, str>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(key))
            }

            fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(key.to_owned()))
            }
        }
        from.deserialize_str(Text).map(Key)
    }
}

/// A value that may have any type. What is not meaningful becomes [`wrong`](Self::wrong) instead of an
/// error.
pub(super) trait Lenient<'de>: Default + Sized {
    fn wrong() -> Self;

    fn of_list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::wrong())
    }

    fn of_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error>;
}

/// Reads such a value.
pub(super) struct AnyType<T>(PhantomData<T>);

impl<'de, T: Lenient<'de>> AnyType<T> {
    pub(super) fn read<D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        from.deserialize_any(Self(PhantomData))
    }
}

impl<'de, T: Lenient<'de>> Visitor<'de> for AnyType<T> {
    type Value = T;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::wrong())
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::wrong())
    }

    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(T::wrong())
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::wrong())
    }

    fn visit_str<E>(self, _: &str) -> Result<T, E> {
        Ok(T::wrong())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::of_list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::of_map(map)
    }
}

macro_rules! deserialize_leniently {
    ($($type:ident),*) => {$(
        impl<'de: 'a, 'a> Deserialize<'de> for $type<'a> {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                AnyType::<$type<'de>>::read(from)
            }
        }
    )*};
}

pub(super) use deserialize_leniently;
