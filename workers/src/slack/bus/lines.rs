//! Cuts what is read from standard input into lines.
//!
//! Pure.

/// The longest line that is kept, in bytes.
pub(super) const MAX_LINE_BYTES: usize = 64 << 10;

/// A line without its end; `None` if it was longer than [`MAX_LINE_BYTES`].
pub(super) type Line = Option<Vec<u8>>;

/// The beginning of a line whose end was not read yet.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    line: Vec<u8>,
    is_too_long: bool,
}

impl Cutter {
    /// Adds what was read, and returns the lines that end in it.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            self.extend(part);
            if parts.peek().is_some() {
                lines.push(self.take());
            }
        }
        lines
    }

    /// The last line, if nothing ends it.
    pub(super) fn end(&mut self) -> Option<Line> {
        let is_begun = self.is_too_long || !self.line.is_empty();
        is_begun.then(|| self.take())
    }

    fn extend(&mut self, part: &[u8]) {
        if self.line.len() + part.len() > MAX_LINE_BYTES {
            (self.line, self.is_too_long) = (Vec::new(), true);
        }
        if !self.is_too_long {
            self.line.extend_from_slice(part);
        }
    }

    fn take(&mut self) -> Line {
        let line = std::mem::take(&mut self.line);
        (!std::mem::take(&mut self.is_too_long)).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cutter, Line, MAX_LINE_BYTES};
    use proptest::prelude::*;

    fn line(text: &str) -> Line {
        Some(text.into())
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_to_its_end() {
        let mut cutter = Cutter::default();
        assert_eq!(cutter.add(b"a 1\nb"), [line("a 1")]);
        assert_eq!(cutter.add(b" 2\n\n"), [line("b 2"), line("")]);
        assert_eq!(cutter.end(), None);
        let long = vec![b'z'; MAX_LINE_BYTES];
        assert_eq!(cutter.add(&long), []);
        assert_eq!(cutter.add(b"evil.tail 7 1\nc 3\nd"), [None, line("c 3")]);
        assert_eq!(cutter.end(), Some(line("d")));
        assert_eq!(cutter.add(&[&long[..], b"\n"].concat()), [Some(long.clone())]);
        assert_eq!(cutter.add(&[&long[..], b"z"].concat()), []);
        assert_eq!((cutter.end(), cutter.end()), (Some(None), None));
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_they_are_read(text in "[a\n]{0,60}", step in 1_usize..20) {
            let mut cutter = Cutter::default();
            let mut lines: Vec<_> =
                text.as_bytes().chunks(step).flat_map(|part| cutter.add(part)).collect();
            lines.extend(cutter.end());
            prop_assert_eq!(lines, text.lines().map(line).collect::<Vec<_>>());
        }
    }
}
