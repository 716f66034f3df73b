//! Constants as values of tags: the compiler makes their texts.

use std::fmt;

/// The most digits and sign of a whole number.
const MAX_DIGITS: usize = 40;

/// A constant that was given as the value of a tag. Its type decides which `__zibrato_text` is meant.
#[doc(hidden)]
#[derive(Debug)]
pub struct Constant<T>(T);

/// The text of a constant.
#[doc(hidden)]
#[derive(Debug)]
pub struct ConstantText(Text);

enum Text {
    Given(&'static str),
    /// In the last bytes.
    Made([u8; MAX_DIGITS], usize),
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Text {
    const fn as_str(&self) -> &str {
        match self {
            Self::Given(text) => text,
            Self::Made(bytes, from) => match str::from_utf8(bytes.split_at(*from).1) {
                Ok(text) => text,
                // Digits are text.
                Err(_) => "",
            },
        }
    }
}

impl ConstantText {
    #[must_use]
    pub const fn as_str(&self) -> &str {
        self.0.as_str()
    }

    const fn number(mut number: u128, is_negative: bool) -> Self {
        let (mut bytes, mut from) = ([0; MAX_DIGITS], MAX_DIGITS);
        loop {
            from -= 1;
            bytes[from] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        if is_negative {
            from -= 1;
            bytes[from] = b'-';
        }
        Self(Text::Made(bytes, from))
    }
}

/// What such a constant can be.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a constant that is the value of a tag is a text, an integer, a `bool` or a `char`, not `{Self}`",
    label = "the compiler cannot make a text of this constant",
    note = "in parentheses, as in `tags(limit = (LIMIT))`, it is evaluated at each call and may be anything \
            that can be displayed"
)]
pub trait ConstantTag {}

/// Whether its type can be one, the bound asks.
#[doc(hidden)]
pub const fn constant<T: ConstantTag>(value: T) -> Constant<T> {
    Constant(value)
}

impl ConstantTag for &'static str {}
impl ConstantTag for bool {}
impl ConstantTag for char {}

impl Constant<&'static str> {
    #[must_use]
    pub const fn __zibrato_text(&self) -> ConstantText {
        ConstantText(Text::Given(self.0))
    }
}

impl Constant<bool> {
    #[must_use]
    pub const fn __zibrato_text(&self) -> ConstantText {
        ConstantText(Text::Given(if self.0 { "true" } else { "false" }))
    }
}

impl Constant<char> {
    #[must_use]
    pub const fn __zibrato_text(&self) -> ConstantText {
        let mut encoded = [0; 4];
        let length = self.0.encode_utf8(&mut encoded).len();
        let mut bytes = [0; MAX_DIGITS];
        let from = MAX_DIGITS - length;
        let mut at = 0;
        while at < length {
            bytes[from + at] = encoded[at];
            at += 1;
        }
        ConstantText(Text::Made(bytes, from))
    }
}

macro_rules! numbers {
    ($($unsigned:ty, $signed:ty;)*) => {$(
        impl ConstantTag for $unsigned {}
        impl ConstantTag for $signed {}

        impl Constant<$unsigned> {
            #[must_use]
            pub const fn __zibrato_text(&self) -> ConstantText {
                ConstantText::number(self.0 as u128, false)
            }
        }

        impl Constant<$signed> {
            #[must_use]
            pub const fn __zibrato_text(&self) -> ConstantText {
                ConstantText::number(self.0.unsigned_abs() as u128, self.0 < 0)
            }
        }
    )*};
}

numbers! {
    u8, i8;
    u16, i16;
    u32, i32;
    u64, i64;
    u128, i128;
    usize, isize;
}

#[cfg(test)]
mod tests {
    use super::Constant;

    #[test]
    fn constants_are_written_as_they_are_displayed() {
        assert_eq!(Constant(u128::MAX).__zibrato_text().as_str(), u128::MAX.to_string());
        assert_eq!(Constant(i128::MIN).__zibrato_text().as_str(), i128::MIN.to_string());
        for number in [i64::MIN, -10, -1, 0, 1, 9, 10, i64::MAX] {
            assert_eq!(Constant(number).__zibrato_text().as_str(), number.to_string());
        }
        for letter in ['a', 'ß', '€', '🦀', char::MAX] {
            assert_eq!(Constant(letter).__zibrato_text().as_str(), letter.to_string());
        }
        assert_eq!(Constant(true).__zibrato_text().as_str(), "true");
        assert_eq!(Constant("text").__zibrato_text().as_str(), "text");
    }
}
