//! What a series that is known only at run time is looked up by: bytes that any thread makes without
//! an allocation, and that say everything that is needed to make the series.
//!
//! ```text
//! key    = origin (8 bytes) item*
//! item   = text 0xFF | 0xFE u64 | 0xFD i64 | 0xFC tag 0xFF item | 0xFB unit 0xFF
//! ```
//!
//! A text is UTF-8, in which no byte is 0xF8 or above. `0xFC` begins a tag that the origin does not
//! know. What belongs to which item, the origin knows.

use crate::measurement::MAX_NAME_BYTES;
use foldhash::fast::{FoldHasher, RandomState};
use once_cell::race::OnceBox;
use std::borrow::Cow;
use std::fmt::{self, Write};
use std::hash::{BuildHasher, Hasher};

const END: u8 = 0xff;
const UNSIGNED: u8 = 0xfe;
const SIGNED: u8 = 0xfd;
const TAG: u8 = 0xfc;
const UNIT: u8 = 0xfb;

/// A key that is longer needs an allocation.
const INLINE: usize = 104;

/// The length of a key that is not inline.
const SPILLED: usize = INLINE + 1;

/// A text is cut here: one byte more than a name may have, so that it is seen that it was cut.
const MAX_TEXT: usize = MAX_NAME_BYTES + 1;

/// The hash of a key, which grows with it. It is made out of what the items are made of: to read again
/// what was just written would take longer.
#[doc(hidden)]
#[derive(Clone)]
pub struct KeyHash(FoldHasher<'static>);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyHash").field(&self.get()).finish()
    }
}

impl KeyHash {
    #[inline]
    pub(crate) fn new(origin: u64) -> Self {
        static STATE: OnceBox<RandomState> = OnceBox::new();
        let mut hasher = STATE.get_or_init(Box::default).build_hasher();
        hasher.write(&origin.to_ne_bytes());
        Self(hasher)
    }

    /// With a text, of which [`MAX_TEXT`] bytes count: a longer one is found by its whole key only.
    #[inline]
    pub(crate) fn text(mut self, text: &[u8]) -> Self {
        self.0.write(&text[..text.len().min(MAX_TEXT)]);
        self
    }

    #[inline]
    fn number(mut self, sign: u8, number: u64) -> Self {
        self.0.write(&(number ^ u64::from(sign)).to_ne_bytes());
        self
    }

    #[inline]
    pub(crate) fn unsigned(self, number: u64) -> Self {
        self.number(UNSIGNED, number)
    }

    #[inline]
    pub(crate) fn signed(self, number: i64) -> Self {
        self.number(SIGNED, number.cast_unsigned())
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.finish()
    }
}

/// What follows a text in a key that begins with it; `None` if it begins otherwise.
#[inline]
pub(crate) fn after_text<'a>(key: &'a [u8], text: &[u8]) -> Option<&'a [u8]> {
    let (begin, rest) = key.split_at_checked(text.len())?;
    let (end, rest) = rest.split_first()?;
    // The length first: it nearly always tells.
    (*end == END && is_same(begin, text)).then_some(rest)
}

/// Whether two slices of one length are equal. For most texts that is two loads of each, and no call.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    if let (8..=16, Some(begin), Some(end)) =
        (one.len(), one.first_chunk::<8>(), one.last_chunk::<8>())
    {
        return other.first_chunk() == Some(begin) && other.last_chunk() == Some(end);
    }
    if let (4..=7, Some(begin), Some(end)) =
        (one.len(), one.first_chunk::<4>(), one.last_chunk::<4>())
    {
        return other.first_chunk() == Some(begin) && other.last_chunk() == Some(end);
    }
    one == other
}

#[inline]
fn after_number(key: &[u8], sign: u8, number: u64) -> Option<&[u8]> {
    let (begin, rest) = key.split_first_chunk::<9>()?;
    let [first, a, b, c, d, e, f, g, h] = *begin;
    (first == sign && u64::from_ne_bytes([a, b, c, d, e, f, g, h]) == number).then_some(rest)
}

#[inline]
pub(crate) fn after_unsigned(key: &[u8], number: u64) -> Option<&[u8]> {
    after_number(key, UNSIGNED, number)
}

#[inline]
pub(crate) fn after_signed(key: &[u8], number: i64) -> Option<&[u8]> {
    after_number(key, SIGNED, number.cast_unsigned())
}

/// What follows the origin in a key that begins with it.
#[inline]
pub(crate) fn after_origin(key: &[u8], origin: u64) -> Option<&[u8]> {
    let (begin, rest) = key.split_first_chunk()?;
    (u64::from_ne_bytes(*begin) == origin).then_some(rest)
}

/// The bytes of a key.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct Key {
    hash: KeyHash,
    /// Or [`SPILLED`].
    len: usize,
    inline: [u8; INLINE],
    spilled: Vec<u8>,
}

impl Key {
    /// A key that begins with `origin`.
    #[inline]
    pub(crate) fn new(origin: u64) -> Self {
        let hash = KeyHash::new(origin);
        let mut key = Self { hash, len: 8, inline: [0; INLINE], spilled: Vec::new() };
        key.inline[..8].copy_from_slice(&origin.to_ne_bytes());
        key
    }

    /// A key of which these are the bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let (origin, rest) = bytes.split_first_chunk().unwrap_or((&[0; 8], &[]));
        Self::with_items(u64::from_ne_bytes(*origin), rest)
    }

    /// A key with the same items, and another origin.
    pub(crate) fn with_origin(&self, origin: u64) -> Self {
        Self::with_items(origin, self.bytes().get(8..).unwrap_or_default())
    }

    fn with_items(origin: u64, mut rest: &[u8]) -> Self {
        let mut key = Self::new(origin);
        while let Some((first, after)) = rest.split_first() {
            match (*first, after.split_first_chunk()) {
                (sign @ (UNSIGNED | SIGNED), Some((number, after))) => {
                    key.number(sign, *number);
                    rest = after;
                }
                (mark @ (TAG | UNIT), _) => {
                    key.push(&[mark]);
                    rest = after;
                }
                _ => {
                    let end = rest.iter().position(|byte| *byte == END).unwrap_or(rest.len());
                    key.push(&rest[..end]);
                    key.end_text(&rest[..end]);
                    rest = rest.get(end + 1..).unwrap_or_default();
                }
            }
        }
        key
    }

    #[inline]
    pub(crate) fn hash(&self) -> u64 {
        self.hash.get()
    }

    /// Ends a text, which was added.
    #[inline]
    fn end_text(&mut self, text: &[u8]) {
        self.hash.0.write(text);
        self.push(&[END]);
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.inline.get(..self.len).unwrap_or(&self.spilled)
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        match self.inline.get_mut(self.len..end) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len = end;
            }
            None => self.spill(bytes),
        }
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        if self.len != SPILLED {
            self.spilled.extend_from_slice(&self.inline[..self.len]);
            self.len = SPILLED;
        }
        self.spilled.extend_from_slice(bytes);
    }

    /// Adds a text, of which [`MAX_TEXT`] bytes count.
    #[inline]
    pub(crate) fn text(&mut self, text: &str) {
        if text.len() <= MAX_TEXT {
            self.push(text.as_bytes());
            self.end_text(text.as_bytes());
        } else {
            self.shown(text);
        }
    }

    /// Adds so many bytes of a text that is longer; dots where a character would be cut.
    #[cold]
    fn cut(&mut self, text: &str, most: usize) {
        let end = text.floor_char_boundary(most);
        self.push(&text.as_bytes()[..end]);
        self.push(&b"...."[..most - end]);
    }

    #[inline]
    pub(crate) fn unsigned(&mut self, value: u64) {
        self.number(UNSIGNED, value.to_ne_bytes());
    }

    #[inline]
    pub(crate) fn signed(&mut self, value: i64) {
        self.number(SIGNED, value.to_ne_bytes());
    }

    #[inline]
    fn number(&mut self, sign: u8, [a, b, c, d, e, f, g, h]: [u8; 8]) {
        self.push(&[sign, a, b, c, d, e, f, g, h]);
        let number = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
        self.hash.0.write(&(number ^ u64::from(sign)).to_ne_bytes());
    }

    /// Adds what `value` displays. A value that panics is called so.
    pub(crate) fn shown(&mut self, value: &(impl fmt::Display + ?Sized)) {
        let start = self.bytes().len();
        let write = || {
            let mut limited = Limited { key: self, room: MAX_TEXT };
            // An error is the limit, or the value's own: then what there is has to do.
            write!(limited, "{value}").ok();
        };
        // Whoever measures does not expect a panic here.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(write)).is_err() {
            self.truncate(start);
            self.push(b"_panicked");
        }
        let hash = self.hash.clone().text(&self.bytes()[start..]);
        self.hash = hash;
        self.push(&[END]);
    }

    fn truncate(&mut self, len: usize) {
        if self.len == SPILLED {
            self.spilled.truncate(len);
        } else {
            self.len = len;
        }
    }

    /// Begins a tag that the origin does not know; its value is the next item.
    pub(crate) fn tag(&mut self, tag: &str) {
        self.push(&[TAG]);
        self.text(tag);
    }

    /// Adds the unit of a histogram. Of several units the last one applies.
    pub(crate) fn unit(&mut self, unit: &str) {
        self.push(&[UNIT]);
        self.text(unit);
    }

    pub(crate) fn origin(&self) -> u64 {
        self.bytes().first_chunk().copied().map_or(0, u64::from_ne_bytes)
    }

    /// The items.
    pub(crate) fn items(&self) -> Items<'_> {
        Items(self.bytes().get(8..).unwrap_or_default())
    }
}

/// Writes as much as counts.
struct Limited<'a> {
    key: &'a mut Key,
    room: usize,
}

impl Write for Limited<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > self.room {
            self.key.cut(text, self.room);
            self.room = 0;
            return Err(fmt::Error);
        }
        self.key.push(text.as_bytes());
        self.room -= text.len();
        Ok(())
    }
}

/// One item of a key.
#[derive(Debug, PartialEq)]
pub(crate) enum Item<'a> {
    Text(Cow<'a, str>),
    /// The name of a tag that the origin does not know.
    Tag(Cow<'a, str>),
    Unit(Cow<'a, str>),
}

/// The items of a key, in order.
pub(crate) struct Items<'a>(&'a [u8]);

impl<'a> Items<'a> {
    fn text(&mut self) -> Option<Cow<'a, str>> {
        let end = self.0.iter().position(|byte| *byte == END)?;
        let text = String::from_utf8_lossy(&self.0[..end]);
        self.0 = &self.0[end + 1..];
        Some(text)
    }

    fn number(&mut self) -> Option<[u8; 8]> {
        let (number, rest) = self.0.get(1..)?.split_first_chunk()?;
        self.0 = rest;
        Some(*number)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        match *self.0.first()? {
            UNSIGNED => {
                let number = u64::from_ne_bytes(self.number()?);
                Some(Item::Text(number.to_string().into()))
            }
            SIGNED => {
                let number = i64::from_ne_bytes(self.number()?);
                Some(Item::Text(number.to_string().into()))
            }
            TAG => {
                self.0 = &self.0[1..];
                Some(Item::Tag(self.text()?))
            }
            UNIT => {
                self.0 = &self.0[1..];
                Some(Item::Unit(self.text()?))
            }
            _ => Some(Item::Text(self.text()?)),
        }
    }
}

/// The text as it may be on the wire, and whether that is another one: without `|` and control
/// characters, not empty, and not too long.
pub(crate) fn legal(text: &str) -> (Cow<'_, str>, bool) {
    use crate::measurement::check_name;
    if check_name(text).is_ok() {
        return (text.into(), false);
    }
    if text.is_empty() {
        return ("_empty".into(), true);
    }
    let is_bad = |c: char| c == '|' || c.is_control() || c == '\u{2028}' || c == '\u{2029}';
    let end = text.floor_char_boundary(MAX_NAME_BYTES);
    let kept = text.char_indices().take_while(|(at, _)| *at < end);
    let legal: String = kept.map(|(_, c)| if is_bad(c) { '_' } else { c }).collect();
    (legal.into(), true)
}

#[cfg(test)]
mod tests;
