//! Escapes texts for paths, queries and forms.
//!
//! Pure.

/// Escapes a text as forms do.
pub(crate) fn form_encode(text: &str, into: &mut String) {
    let mut words = text.split(' ');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if let Some(first) = words.next() {
        escape(first, is_plain, into);
    }
    for word in words {
        into.push('+');
        escape(word, is_plain, into);
    }
}

/// Escapes the bytes of a text that are not plain.
pub(crate) fn escape(text: &str, is_plain: impl Fn(u8) -> bool, into: &mut String) {
    for byte in text.bytes() {
        if is_plain(byte) {
            into.push(byte.into());
        } else {
            let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
            let digits =
                [digit(byte >> 4), digit(byte & 15)].map(|digit| digit.to_ascii_uppercase());
            into.push('%');
            into.extend(digits);
        }
    }
}
