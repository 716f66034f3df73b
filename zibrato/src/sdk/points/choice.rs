//! The values of the tags of a call: which of few they are, or what they are looked up by.

use super::key::{self, Key, KeyHash};
use super::tags::{TagValue, expect_valid};
use crate::measurement::check_name;
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// Maximum number of sites of one family. Series of more combinations are looked up.
const MAX_SITES: usize = 256;

/// What the value of a tag can be: anything that can be displayed.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a tag: it implements neither `Display` nor `TagValue`",
    label = "cannot be displayed",
    note = "for an enum without fields, derive `zibrato::TagValue`",
    note = "for anything else, write an expression that can be displayed: a field of it, \
            `x.as_deref().unwrap_or(\"none\")` for an `Option`, a text made with `:?` for what has only \
            `Debug`; in an attribute, `|r| r.status().as_u16()` takes the value from the result"
)]
pub trait TagText {
    fn write_to(&self, key: &mut Key);
}

impl<T: fmt::Display + ?Sized> TagText for T {
    fn write_to(&self, key: &mut Key) {
        key.shown(self);
    }
}

/// A text or a number, which needs no formatting to be looked up.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_enums, reason = "nobody outside uses it")]
pub enum PlainValue<'a> {
    Text(&'a str),
    Unsigned(u64),
    Signed(i64),
}

impl PlainValue<'_> {
    #[inline]
    fn write(self, key: &mut Key) {
        match self {
            Self::Text(text) => key.text(text),
            Self::Unsigned(number) => key.unsigned(number),
            Self::Signed(number) => key.signed(number),
        }
    }

    #[inline]
    fn hash(self, hash: KeyHash) -> KeyHash {
        match self {
            Self::Text(text) => hash.text(text.as_bytes()),
            Self::Unsigned(number) => hash.unsigned(number),
            Self::Signed(number) => hash.signed(number),
        }
    }

    #[inline]
    fn after(self, key: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Text(text) => key::after_text(key, text.as_bytes()),
            Self::Unsigned(number) => key::after_unsigned(key, number),
            Self::Signed(number) => key::after_signed(key, number),
        }
    }
}

/// Texts and numbers.
#[doc(hidden)]
pub trait PlainText {
    fn plain(&self) -> PlainValue<'_>;
}

macro_rules! plain {
    ($($type:ty => |$value:ident| $plain:expr;)*) => {$(
        impl PlainText for $type {
            #[inline]
            fn plain(&self) -> PlainValue<'_> {
                let $value = self;
                $plain
            }
        }
    )*};
}

plain! {
    str => |v| PlainValue::Text(v);
    String => |v| PlainValue::Text(v);
    Box<str> => |v| PlainValue::Text(v);
    std::sync::Arc<str> => |v| PlainValue::Text(v);
    std::rc::Rc<str> => |v| PlainValue::Text(v);
    Cow<'_, str> => |v| PlainValue::Text(v);
    u8 => |v| PlainValue::Unsigned((*v).into());
    u16 => |v| PlainValue::Unsigned((*v).into());
    u32 => |v| PlainValue::Unsigned((*v).into());
    u64 => |v| PlainValue::Unsigned(*v);
    usize => |v| PlainValue::Unsigned(*v as u64);
    i8 => |v| PlainValue::Signed((*v).into());
    i16 => |v| PlainValue::Signed((*v).into());
    i32 => |v| PlainValue::Signed((*v).into());
    i64 => |v| PlainValue::Signed(*v);
    isize => |v| PlainValue::Signed(*v as i64);
}

impl<T: PlainText + ?Sized> PlainText for &T {
    #[inline]
    fn plain(&self) -> PlainValue<'_> {
        T::plain(self)
    }
}

/// The value of a tag, whatever its type. Which `__zibrato_tag` is meant, the compiler decides where
/// the type is known: of a type with few values, of a text or number, or of anything else.
#[doc(hidden)]
#[derive(Debug)]
pub struct Given<'a, T: ?Sized>(GivenPlain<'a, T>);

/// A text, a number, or anything else that can be displayed.
#[doc(hidden)]
#[derive(Debug)]
pub struct GivenPlain<'a, T: ?Sized>(GivenAny<'a, T>);

/// Something that can be displayed.
#[doc(hidden)]
#[derive(Debug)]
pub struct GivenAny<'a, T: ?Sized>(&'a T);

/// The value of a tag. Whether it can be one, the call of `__zibrato_tag` asks.
#[doc(hidden)]
#[inline]
pub const fn tag<T: ?Sized>(value: &T) -> Given<'_, T> {
    Given(GivenPlain(GivenAny(value)))
}

impl<'a, T: ?Sized> Deref for Given<'a, T> {
    type Target = GivenPlain<'a, T>;

    #[inline]
    fn deref(&self) -> &GivenPlain<'a, T> {
        &self.0
    }
}

impl<'a, T: ?Sized> Deref for GivenPlain<'a, T> {
    type Target = GivenAny<'a, T>;

    #[inline]
    fn deref(&self) -> &GivenAny<'a, T> {
        &self.0
    }
}

impl<'a, T: TagValue + ?Sized> Given<'a, T> {
    #[inline]
    pub const fn __zibrato_tag(&self) -> Few<'a, T> {
        Few(self.0.0.0)
    }
}

impl<'a, T: PlainText + ?Sized> GivenPlain<'a, T> {
    #[inline]
    pub const fn __zibrato_tag(&self) -> Plain<'a, T> {
        Plain(self.0.0)
    }
}

impl<'a, T: ?Sized> GivenAny<'a, T> {
    #[inline]
    pub const fn __zibrato_tag(&self) -> Shown<'a, T>
    where
        T: TagText,
    {
        Shown(self.0)
    }
}

/// A value of a type with few values.
#[doc(hidden)]
#[derive(Debug)]
pub struct Few<'a, T: ?Sized>(&'a T);

/// A text or a number.
#[doc(hidden)]
#[derive(Debug)]
pub struct Plain<'a, T: ?Sized>(&'a T);

/// A value that can be displayed.
#[doc(hidden)]
#[derive(Debug)]
pub struct Shown<'a, T: ?Sized>(&'a T);

/// The value of one tag.
#[doc(hidden)]
pub trait Chosen {
    /// Its type has few values, which are these.
    const FEW: Option<&'static [&'static str]> = None;
    /// Whether [`plain`](Self::plain) is something.
    const IS_PLAIN: bool = false;

    /// Which of few values it is.
    #[inline]
    fn index(&self) -> usize {
        0
    }

    /// The text or number that it is.
    #[inline]
    fn plain(&self) -> Option<PlainValue<'_>> {
        None
    }

    /// Adds it to the key of a series.
    fn write(&self, key: &mut Key);
}

impl<T: TagValue + ?Sized> Chosen for Few<'_, T> {
    const FEW: Option<&'static [&'static str]> = Some(T::VALUES);
    const IS_PLAIN: bool = true;

    #[inline]
    fn index(&self) -> usize {
        self.0.index()
    }

    #[inline]
    fn plain(&self) -> Option<PlainValue<'_>> {
        Some(PlainValue::Text(T::VALUES.get(self.0.index()).copied().unwrap_or("_unknown")))
    }

    #[inline]
    fn write(&self, key: &mut Key) {
        self.plain().into_iter().for_each(|plain| plain.write(key));
    }
}

impl<T: PlainText + ?Sized> Chosen for Plain<'_, T> {
    const IS_PLAIN: bool = true;

    #[inline]
    fn plain(&self) -> Option<PlainValue<'_>> {
        Some(self.0.plain())
    }

    #[inline]
    fn write(&self, key: &mut Key) {
        self.0.plain().write(key);
    }
}

impl<T: TagText + ?Sized> Chosen for Shown<'_, T> {
    #[inline]
    fn write(&self, key: &mut Key) {
        self.0.write_to(key);
    }
}

/// The values of each of several tags.
pub(crate) type Values = &'static [&'static [&'static str]];

/// One value for each of several tags.
#[doc(hidden)]
pub trait Choice {
    /// Whether there are so few combinations that each has a call site.
    const IS_FEW: bool;
    const VALUES: Values;
    /// Whether all values are texts and numbers, of which [`hash`](Self::hash) and
    /// [`after`](Self::after) say what their key is.
    const IS_PLAIN: bool;
    const CHECKED: () = check_values(Self::VALUES);

    /// The index among all combinations; the last tag changes fastest.
    fn index(&self) -> usize;

    /// Adds all values to the key of a series.
    fn write(&self, key: &mut Key);

    /// The hash of a key with all values.
    fn hash(&self, hash: KeyHash) -> KeyHash;

    /// What follows all values in a key that begins with them.
    fn after<'a>(&self, key: &'a [u8]) -> Option<&'a [u8]>;
}

/// No tags.
impl Choice for () {
    const IS_FEW: bool = false;
    const VALUES: Values = &[];
    const IS_PLAIN: bool = true;

    #[inline]
    fn index(&self) -> usize {
        0
    }

    #[inline]
    fn write(&self, _: &mut Key) {}

    #[inline]
    fn hash(&self, hash: KeyHash) -> KeyHash {
        hash
    }

    #[inline]
    fn after<'a>(&self, key: &'a [u8]) -> Option<&'a [u8]> {
        Some(key)
    }
}

macro_rules! choice {
    ($($value:ident),+) => {
        #[expect(non_snake_case, reason = "a type and its value have one name")]
        impl<$($value: Chosen),+> Choice for ($($value,)+) {
            const IS_FEW: bool =
                $($value::FEW.is_some())&&+ && combinations(Self::VALUES) <= MAX_SITES;
            const VALUES: Values = &[$(match $value::FEW { Some(few) => few, None => &[] }),+];
            const IS_PLAIN: bool = $($value::IS_PLAIN)&&+;

            #[inline]
            fn index(&self) -> usize {
                let ($($value,)+) = self;
                let mut index = 0_usize;
                $(
                    let (next, most) = ($value.index(), $value::FEW.map_or(0, <[_]>::len));
                    if next >= most {
                        return usize::MAX;
                    }
                    index = index * most + next;
                )+
                index
            }

            #[inline]
            fn write(&self, key: &mut Key) {
                let ($($value,)+) = self;
                $($value.write(key);)+
            }

            #[inline]
            fn hash(&self, mut hash: KeyHash) -> KeyHash {
                let ($($value,)+) = self;
                $(
                    if let Some(plain) = $value.plain() {
                        hash = plain.hash(hash);
                    }
                )+
                hash
            }

            #[inline]
            fn after<'a>(&self, mut key: &'a [u8]) -> Option<&'a [u8]> {
                let ($($value,)+) = self;
                $(key = $value.plain()?.after(key)?;)+
                Some(key)
            }
        }
    };
}

choice!(A);
choice!(A, B);
choice!(A, B, C);
choice!(A, B, C, D);
choice!(A, B, C, D, E);
choice!(A, B, C, D, E, F);
choice!(A, B, C, D, E, F, G);
choice!(A, B, C, D, E, F, G, H);

/// How many combinations there are, or so many that it does not matter.
const fn combinations(values: Values) -> usize {
    let mut combinations = 1_usize;
    let mut tag = 0;
    while tag < values.len() {
        combinations = combinations.saturating_mul(values[tag].len());
        tag += 1;
    }
    combinations
}

const fn check_values(values: Values) {
    let mut tag = 0;
    while tag < values.len() {
        let mut i = 0;
        while i < values[tag].len() {
            expect_valid(check_name(values[tag][i]));
            i += 1;
        }
        tag += 1;
    }
}
