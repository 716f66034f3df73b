//! Texts that generated code makes of what it was given.

/// What a name made at run time can be; for anything else, the compiler reports an error here.
#[doc(hidden)]
#[inline]
pub fn name<T: AsRef<str> + ?Sized>(name: &T) -> &str {
    name.as_ref()
}

/// How many bytes two texts have together.
#[doc(hidden)]
#[must_use]
pub const fn joined_length(first: &str, second: &str) -> usize {
    first.len() + second.len()
}

/// The bytes of two texts, one after the other.
#[doc(hidden)]
#[must_use]
pub const fn join<const LENGTH: usize>(first: &str, second: &str) -> [u8; LENGTH] {
    let (first, second) = (first.as_bytes(), second.as_bytes());
    let mut joined = [0; LENGTH];
    let mut at = 0;
    while at < LENGTH {
        joined[at] = if at < first.len() { first[at] } else { second[at - first.len()] };
        at += 1;
    }
    joined
}

/// The text of bytes that are one.
#[doc(hidden)]
#[must_use]
pub const fn text(joined: &'static [u8]) -> &'static str {
    match str::from_utf8(joined) {
        Ok(text) => text,
        // Two texts in a row are a text.
        Err(_) => "",
    }
}
