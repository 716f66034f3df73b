//! The MessagePack forms that the protocol uses, read from untrusted bytes.
//!
//! `rmp` writes. Reading is a cursor over a borrowed slice: every length is checked against the
//! available bytes before it is used, and nesting is bounded.

use rmp::Marker;

/// The bytes are not MessagePack of the expected structure, or end too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Maximum nesting depth of unknown values.
const MAX_DEPTH: u32 = 32;

// Writing to a `Vec` cannot fail; `rmp` returns a `Result` because it supports any writer.
macro_rules! write_with {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) = $with:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name(to: &mut Vec<u8>, $($arg: $type),*) {
            let written = $with(to, $($arg),*);
            debug_assert!(written.is_ok());
        }
    )*};
}

write_with! {
    long_text(value: &str) = rmp::encode::write_str;
    long_unsigned(value: u64) = rmp::encode::write_uint;
    long_signed(value: i64) = rmp::encode::write_sint;
}

// Most values of a batch are short texts and numbers, so these are faster than the general functions.

#[inline]
pub(crate) fn text(to: &mut Vec<u8>, value: &str) {
    match u8::try_from(value.len()) {
        Ok(length @ ..32) => {
            to.push(0xa0 | length);
            to.extend_from_slice(value.as_bytes());
        }
        Ok(length) => {
            to.extend_from_slice(&[0xd9, length]);
            to.extend_from_slice(value.as_bytes());
        }
        Err(_) => long_text(to, value),
    }
}

#[inline]
pub(crate) fn double(to: &mut Vec<u8>, value: f64) {
    let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
    to.extend_from_slice(&[0xcb, a, b, c, d, e, f, g, h]);
}

// Most numbers of a batch are below 128, and are encoded as one byte of that value.

#[inline]
pub(crate) fn unsigned(to: &mut Vec<u8>, value: u64) {
    if value < 128 { to.push(value as u8) } else { long_unsigned(to, value) }
}

#[inline]
pub(crate) fn signed(to: &mut Vec<u8>, value: i64) {
    if (-32..128).contains(&value) { to.push(value as u8) } else { long_signed(to, value) }
}

/// Writes the head of an array of `length` items.
pub(crate) fn array(to: &mut Vec<u8>, length: usize) {
    let written = rmp::encode::write_array_len(to, u32::try_from(length).unwrap_or(u32::MAX));
    debug_assert!(written.is_ok());
}

/// Writes the head of a map of `length` pairs.
pub(crate) fn map(to: &mut Vec<u8>, length: usize) {
    let written = rmp::encode::write_map_len(to, u32::try_from(length).unwrap_or(u32::MAX));
    debug_assert!(written.is_ok());
}

/// Writes a number in the shortest form that is exact: an integer where it is one, else a double.
pub(crate) fn number(to: &mut Vec<u8>, value: f64) {
    // Negative zero is the one whole number that an integer cannot hold.
    let whole = value == value.trunc() && value.abs() < 9_007_199_254_740_992.0;
    if whole && (value != 0.0 || value.is_sign_positive()) {
        signed(to, value as i64);
    } else {
        double(to, value);
    }
}

fn take<'a>(from: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    let (head, tail) = from.split_at_checked(length).ok_or(Malformed)?;
    *from = tail;
    Ok(head)
}

fn fixed<const N: usize>(from: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (head, tail) = from.split_first_chunk::<N>().ok_or(Malformed)?;
    *from = tail;
    Ok(*head)
}

fn marker(from: &mut &[u8]) -> Result<Marker, Malformed> {
    Ok(Marker::from_u8(fixed::<1>(from)?[0]))
}

fn u8_length(from: &mut &[u8]) -> Result<u32, Malformed> {
    Ok(u32::from(fixed::<1>(from)?[0]))
}

fn u16_length(from: &mut &[u8]) -> Result<u32, Malformed> {
    Ok(u32::from(u16::from_be_bytes(fixed(from)?)))
}

fn u32_length(from: &mut &[u8]) -> Result<u32, Malformed> {
    Ok(u32::from_be_bytes(fixed(from)?))
}

/// Reads the head of an array. The items may still be missing.
pub(crate) fn read_array(from: &mut &[u8]) -> Result<u32, Malformed> {
    match marker(from)? {
        Marker::FixArray(n) => Ok(u32::from(n)),
        Marker::Array16 => u16_length(from),
        Marker::Array32 => u32_length(from),
        _ => Err(Malformed),
    }
}

/// Reads the head of a map. The pairs may still be missing.
pub(crate) fn read_map(from: &mut &[u8]) -> Result<u32, Malformed> {
    match marker(from)? {
        Marker::FixMap(n) => Ok(u32::from(n)),
        Marker::Map16 => u16_length(from),
        Marker::Map32 => u32_length(from),
        _ => Err(Malformed),
    }
}

/// Reads a UTF-8 text.
pub(crate) fn read_text<'a>(from: &mut &'a [u8]) -> Result<&'a str, Malformed> {
    let length = match marker(from)? {
        Marker::FixStr(n) => u32::from(n),
        Marker::Str8 => u8_length(from)?,
        Marker::Str16 => u16_length(from)?,
        Marker::Str32 => u32_length(from)?,
        _ => return Err(Malformed),
    };
    std::str::from_utf8(take(from, length as usize)?).map_err(|_| Malformed)
}

/// Reads any number as a double, including NaN and infinities; the caller checks for them.
pub(crate) fn read_number(from: &mut &[u8]) -> Result<f64, Malformed> {
    Ok(match marker(from)? {
        Marker::F64 => f64::from_be_bytes(fixed(from)?),
        Marker::F32 => f64::from(f32::from_be_bytes(fixed(from)?)),
        Marker::U64 => u64::from_be_bytes(fixed(from)?) as f64,
        other => integer(other, from)? as f64,
    })
}

/// Reads an integer that is not negative.
pub(crate) fn read_unsigned(from: &mut &[u8]) -> Result<u64, Malformed> {
    match marker(from)? {
        Marker::U64 => Ok(u64::from_be_bytes(fixed(from)?)),
        other => u64::try_from(integer(other, from)?).map_err(|_| Malformed),
    }
}

/// Reads a signed integer of 32 bits.
pub(crate) fn read_i32(from: &mut &[u8]) -> Result<i32, Malformed> {
    let marker = marker(from)?;
    i32::try_from(integer(marker, from)?).map_err(|_| Malformed)
}

fn integer(marker: Marker, from: &mut &[u8]) -> Result<i64, Malformed> {
    Ok(match marker {
        Marker::FixPos(n) => i64::from(n),
        Marker::FixNeg(n) => i64::from(n),
        Marker::U8 => i64::from(fixed::<1>(from)?[0]),
        Marker::U16 => i64::from(u16::from_be_bytes(fixed(from)?)),
        Marker::U32 => i64::from(u32::from_be_bytes(fixed(from)?)),
        Marker::U64 => i64::try_from(u64::from_be_bytes(fixed(from)?)).map_err(|_| Malformed)?,
        Marker::I8 => i64::from(i8::from_be_bytes(fixed(from)?)),
        Marker::I16 => i64::from(i16::from_be_bytes(fixed(from)?)),
        Marker::I32 => i64::from(i32::from_be_bytes(fixed(from)?)),
        Marker::I64 => i64::from_be_bytes(fixed(from)?),
        _ => return Err(Malformed),
    })
}

/// Skips one value of any type and returns its bytes.
pub(crate) fn skip<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let start = *from;
    skip_nested(from, MAX_DEPTH)?;
    take(&mut &*start, start.len() - from.len())
}

fn skip_nested(from: &mut &[u8], depth: u32) -> Result<(), Malformed> {
    let (bytes, values) = match marker(from)? {
        Marker::Null | Marker::True | Marker::False | Marker::FixPos(_) | Marker::FixNeg(_) => {
            (0, 0)
        }
        Marker::U8 | Marker::I8 => (1, 0),
        Marker::U16 | Marker::I16 | Marker::FixExt1 => (2, 0),
        Marker::FixExt2 => (3, 0),
        Marker::U32 | Marker::I32 | Marker::F32 => (4, 0),
        Marker::FixExt4 => (5, 0),
        Marker::U64 | Marker::I64 | Marker::F64 => (8, 0),
        Marker::FixExt8 => (9, 0),
        Marker::FixExt16 => (17, 0),
        Marker::FixStr(n) => (u64::from(n), 0),
        Marker::Str8 | Marker::Bin8 => (u64::from(u8_length(from)?), 0),
        Marker::Str16 | Marker::Bin16 => (u64::from(u16_length(from)?), 0),
        Marker::Str32 | Marker::Bin32 => (u64::from(u32_length(from)?), 0),
        Marker::Ext8 => (u64::from(u8_length(from)?) + 1, 0),
        Marker::Ext16 => (u64::from(u16_length(from)?) + 1, 0),
        Marker::Ext32 => (u64::from(u32_length(from)?) + 1, 0),
        Marker::FixArray(n) => (0, u64::from(n)),
        Marker::Array16 => (0, u64::from(u16_length(from)?)),
        Marker::Array32 => (0, u64::from(u32_length(from)?)),
        Marker::FixMap(n) => (0, 2 * u64::from(n)),
        Marker::Map16 => (0, 2 * u64::from(u16_length(from)?)),
        Marker::Map32 => (0, 2 * u64::from(u32_length(from)?)),
        Marker::Reserved => return Err(Malformed),
    };
    take(from, usize::try_from(bytes).map_err(|_| Malformed)?)?;
    if values > 0 && depth == 0 {
        return Err(Malformed);
    }
    // Each value has at least one byte, so a wrong length ends with the input and cannot loop for
    // long.
    for _ in 0..values {
        skip_nested(from, depth - 1)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn deep_nesting_is_rejected() {
        let deep = vec![0x91; 100_000];
        assert_eq!(skip(&mut &deep[..]), Err(Malformed));
    }

    #[test]
    fn a_length_beyond_the_bytes_is_rejected() {
        for bytes in
            [&b"\xdb\xff\xff\xff\xffabc"[..], b"\xdf\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff"]
        {
            assert_eq!(skip(&mut &*bytes), Err(Malformed));
            assert_eq!(read_text(&mut &*bytes), Err(Malformed));
        }
    }

    #[test]
    fn texts_and_doubles_have_their_shortest_form() {
        for length in [0, 1, 31, 32, 33, 255, 256, 65_535, 65_536] {
            let (value, [mut ours, mut theirs]) = ("x".repeat(length), [Vec::new(), Vec::new()]);
            text(&mut ours, &value);
            rmp::encode::write_str(&mut theirs, &value).unwrap();
            assert!(ours == theirs, "{length}");
        }
        for value in [0.5, -0.0, f64::MAX] {
            let [mut ours, mut theirs] = [Vec::new(), Vec::new()];
            double(&mut ours, value);
            rmp::encode::write_f64(&mut theirs, value).unwrap();
            assert_eq!(ours, theirs);
        }
    }

    proptest! {
        #[test]
        fn numbers_are_decoded_exactly(value in any::<f64>().prop_filter("a number", |v| !v.is_nan())) {
            let mut bytes = Vec::new();
            number(&mut bytes, value);
            let mut rest = &bytes[..];
            prop_assert_eq!(read_number(&mut rest).unwrap().to_bits(), value.to_bits());
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn skipping_takes_exactly_one_value(a in any::<i64>(), b in "\\PC{0,300}") {
            let mut bytes = Vec::new();
            signed(&mut bytes, a);
            let first = bytes.len();
            text(&mut bytes, &b);
            let mut rest = &bytes[..];
            prop_assert_eq!(skip(&mut rest), Ok(&bytes[..first]));
            prop_assert_eq!(read_text(&mut rest), Ok(b.as_str()));
        }

        #[test]
        fn arbitrary_bytes_cause_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for read in [|b: &mut &[u8]| skip(b).is_ok(), |b: &mut &[u8]| read_number(b).is_ok()] {
                let mut rest = &bytes[..];
                while !rest.is_empty() && read(&mut rest) {}
            }
        }
    }
}
