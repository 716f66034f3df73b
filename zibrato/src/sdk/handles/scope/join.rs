//! Names that are made of a constant and an ending, while the program is compiled.

/// How many bytes two texts have together.
#[must_use]
pub const fn joined_length(first: &str, second: &str) -> usize {
    first.len() + second.len()
}

/// The bytes of two texts, one after the other.
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
#[must_use]
pub const fn text(joined: &'static [u8]) -> &'static str {
    match str::from_utf8(joined) {
        Ok(text) => text,
        // Two texts in a row are a text.
        Err(_) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::{join, joined_length, text};

    #[test]
    fn two_texts_become_one() {
        static JOINED: [u8; joined_length("größe", ".polls")] = join("größe", ".polls");
        assert_eq!(text(&JOINED), "größe.polls");
    }
}
