//! The bytes of a payload on the wire: lines or pickles, with the API key before each name.
//!
//! Pure.

use super::key::ApiKey;
use super::pickle::{self, InvalidLine};
use std::borrow::Cow;

/// How payloads are written.
#[derive(Debug)]
pub(super) struct Wire {
    encoding: Encoding,
    key: Option<ApiKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Lines,
    /// As pickles of at most this number of points.
    Pickle(usize),
}

impl Wire {
    pub(super) const fn lines() -> Self {
        Self { encoding: Encoding::Lines, key: None }
    }

    /// Pickles of at most this number of points.
    pub(super) const fn pickles(batch: usize) -> Self {
        Self { encoding: Encoding::Pickle(batch), key: None }
    }

    pub(super) const fn set_pickle_batch(&mut self, points: usize) {
        if let Encoding::Pickle(batch) = &mut self.encoding {
            *batch = points;
        }
    }

    pub(super) fn set_key(&mut self, key: ApiKey) {
        self.key = Some(key);
    }

    /// The bytes for these lines, which have names without the key. Errors do not show the key.
    pub(super) fn of<'a>(&self, lines: &'a [u8]) -> Result<Cow<'a, [u8]>, InvalidLine> {
        let before = self.key.as_ref().map_or("", ApiKey::before_names);
        Ok(match self.encoding {
            Encoding::Lines if before.is_empty() => lines.into(),
            Encoding::Lines => lines
                .split_inclusive(|byte| *byte == b'\n')
                .flat_map(|line| [before.as_bytes(), line])
                .collect::<Vec<_>>()
                .concat()
                .into(),
            Encoding::Pickle(batch) => pickle::frames(lines, batch, before)?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Wire;
    use crate::carbon::key::ApiKey;
    use crate::secret::{GivenSecret, Secret};

    fn with_key(mut wire: Wire, key: &str) -> Wire {
        let given = GivenSecret { secret: Secret::new(key), from: "--api-key".to_owned() };
        wire.set_key(ApiKey::parse(given).unwrap());
        wire
    }

    #[test]
    fn each_name_begins_with_the_key() {
        let lines = with_key(Wire::lines(), "hunter2");
        let written = lines.of(b"a.b;c=d 1 60\nhunter2.a 2 60\n").unwrap();
        let expected = "hunter2.a.b;c=d 1 60\nhunter2.hunter2.a 2 60\n";
        assert_eq!(written, expected.as_bytes());
        assert_eq!(lines.of(b"").unwrap(), b"".as_slice());
        let plain = Wire::pickles(500).of(expected.as_bytes()).unwrap().into_owned();
        let pickles = with_key(Wire::pickles(500), "hunter2");
        assert_eq!(pickles.of(b"a.b;c=d 1 60\nhunter2.a 2 60\n").unwrap(), plain);
    }

    #[test]
    fn neither_an_error_nor_debug_output_shows_the_key() {
        let pickles = with_key(Wire::pickles(500), "hunter2");
        let shown = format!("{} {pickles:?}", pickles.of(b"a b c d\n").unwrap_err());
        assert!(shown.contains("`a b c d` is not") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn the_longest_name_with_the_longest_key_is_a_line_that_carbon_reads() {
        let lines = with_key(Wire::lines(), &"k".repeat(255));
        let line = format!("{} {:?} {}\n", "n".repeat(16_000), f64::MIN, u64::MAX / 1000);
        let written = lines.of(line.as_bytes()).unwrap();
        assert!(written.len() <= 16_384 + 1, "{}", written.len());
    }
}
