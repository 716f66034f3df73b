//! The value lists of a datagram: what each part sets, and who a list belongs to.
//!
//! Pure: takes bytes and times, opens nothing.

use super::parts::{Part, PartError, Values, from_seconds, kind, number, text};
use std::fmt;

/// Maximum length of a host, plugin, type or instance, in bytes. The last readings of a value list
/// are kept under these texts, and names are no longer.
pub(crate) const MAX_TEXT_BYTES: usize = 255;

/// The parts of a datagram that apply to the value lists after them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Header<'a> {
    host: &'a [u8],
    plugin: Option<&'a [u8]>,
    plugin_instance: &'a [u8],
    type_name: Option<&'a [u8]>,
    type_instance: &'a [u8],
    time: Option<u64>,
    interval: u64,
}

/// The identity and the time of a value list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListId<'a> {
    /// Empty if there is none.
    pub(crate) host: &'a str,
    pub(crate) plugin: &'a str,
    /// Empty if there is none.
    pub(crate) plugin_instance: &'a str,
    pub(crate) type_name: &'a str,
    /// Empty if there is none.
    pub(crate) type_instance: &'a str,
    /// Unix time in units of 2^-30 s.
    pub(crate) time: u64,
    /// The same unit; 0 if there is none.
    pub(crate) interval: u64,
}

/// Why a value list has no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// A text is not UTF-8.
    Encoding,
    /// There was no plugin, type or time before it.
    Incomplete,
    /// A text is longer than [`MAX_TEXT_BYTES`].
    TooLong,
}

impl<'a> Header<'a> {
    /// Takes a part. Returns the values, if it is a list of values. Other kinds are skipped.
    pub(super) fn take(&mut self, part: &Part<'a>) -> Result<Option<Values<'a>>, PartError> {
        let payload = part.payload;
        match part.kind {
            kind::HOST => self.host = text(payload)?,
            kind::PLUGIN => self.plugin = Some(text(payload)?),
            kind::PLUGIN_INSTANCE => self.plugin_instance = text(payload)?,
            kind::TYPE => self.type_name = Some(text(payload)?),
            kind::TYPE_INSTANCE => self.type_instance = text(payload)?,
            kind::TIME => self.time = Some(from_seconds(number(payload)?)),
            kind::TIME_HIGH => self.time = Some(number(payload)?),
            kind::INTERVAL => self.interval = from_seconds(number(payload)?),
            kind::INTERVAL_HIGH => self.interval = number(payload)?,
            kind::VALUES => return Values::decode(payload).map(Some),
            _ => {}
        }
        Ok(None)
    }

    /// The identity of a value list after these parts.
    pub(super) fn list(&self) -> Result<ListId<'a>, HeaderError> {
        let utf8 = |text: &'a [u8]| match std::str::from_utf8(text) {
            Ok(text) if text.len() > MAX_TEXT_BYTES => Err(HeaderError::TooLong),
            text => text.map_err(|_| HeaderError::Encoding),
        };
        Ok(ListId {
            host: utf8(self.host)?,
            plugin: utf8(self.plugin.ok_or(HeaderError::Incomplete)?)?,
            plugin_instance: utf8(self.plugin_instance)?,
            type_name: utf8(self.type_name.ok_or(HeaderError::Incomplete)?)?,
            type_instance: utf8(self.type_instance)?,
            time: self.time.ok_or(HeaderError::Incomplete)?,
            interval: self.interval,
        })
    }
}

impl ListId<'_> {
    /// Writes a key that no list with another identity has.
    pub(super) fn write_key(&self, key: &mut Vec<u8>) {
        key.clear();
        let Self { host, plugin, plugin_instance, type_name, type_instance, .. } = self;
        for text in [host, plugin, plugin_instance, type_name, type_instance] {
            // No text contains NUL.
            key.extend_from_slice(text.as_bytes());
            key.push(0);
        }
    }
}

/// The form in which CollectD writes it: `host/plugin-instance/type-instance`.
impl fmt::Display for ListId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.host)?;
        for (name, instance) in
            [(self.plugin, self.plugin_instance), (self.type_name, self.type_instance)]
        {
            write!(f, "/{name}")?;
            if !instance.is_empty() {
                write!(f, "-{instance}")?;
            }
        }
        Ok(())
    }
}
