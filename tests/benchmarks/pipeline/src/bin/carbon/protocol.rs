//! The protocols that Carbon reads: the names in a stream of lines or of pickles.

/// What a sender writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Lines,
    Pickle,
}

impl Protocol {
    /// The names of all whole points.
    pub(crate) fn names(self, stream: &[u8]) -> Box<dyn Iterator<Item = &[u8]> + '_> {
        match self {
            Self::Lines => {
                let whole = stream.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
                let lines = stream[..whole].split(|byte| *byte == b'\n');
                let lines = lines.filter(|line| !line.is_empty());
                Box::new(lines.filter_map(|line| line.split(|byte| *byte == b' ').next()))
            }
            Self::Pickle => Box::new(Frames(stream).flat_map(Texts)),
        }
    }
}

/// The pickles of a stream, each of which follows its length.
struct Frames<'a>(&'a [u8]);

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (pickle, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        self.0 = rest;
        Some(pickle)
    }
}

/// The texts of a pickle of protocol 2, which are the names. Everything else is skipped.
struct Texts<'a>(&'a [u8]);

impl<'a> Iterator for Texts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let (opcode, rest) = self.0.split_first()?;
            let (text, length) = match opcode {
                // A text of bytes with a length of one byte; a text with a length of four.
                b'U' => (true, 1 + usize::from(*rest.first()?)),
                b'X' => (true, 4 + u32::from_le_bytes(*rest.first_chunk()?) as usize),
                // An integer of a length of one byte.
                0x8a => (false, 1 + usize::from(*rest.first()?)),
                // The version; integers of one, two and four bytes; a double.
                0x80 | b'K' => (false, 1),
                b'M' => (false, 2),
                b'J' => (false, 4),
                b'G' => (false, 8),
                // Stores an object, or loads it again.
                b'q' | b'h' => (false, 1),
                b'r' | b'j' => (false, 4),
                // Brackets: they have no argument.
                b']' | b'(' | b')' | b'a' | b'e' | b't' | b'.' | 0x85..=0x87 => (false, 0),
                _ => return Some(b"an unknown opcode"),
            };
            let (argument, rest) = rest.split_at_checked(length)?;
            self.0 = rest;
            if text {
                return argument.get(if *opcode == b'U' { 1 } else { 4 }..);
            }
        }
    }
}
