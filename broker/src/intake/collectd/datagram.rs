//! From a datagram to values.
//!
//! Pure: takes bytes and times, opens nothing.

use super::auth::Users;
use super::converter::{Converter, Sample};
use super::crypt::{Encrypted, Signature};
use super::parts::{Part, PartError, Parts, UNITS_PER_SECOND, Values, kind};
use super::rejected::{About, Rejected};
use super::types_db::{DataSource, SourceKind, TypesDb};
use super::value_list::{Header, ListId};

/// How far a time may be ahead of the broker's clock, in seconds.
const MAX_AHEAD_SECONDS: u64 = 300;

/// How far a time may be behind the broker's clock if protection is required, in seconds.
const MAX_BEHIND_SECONDS: u64 = 86_400;

/// How a datagram is protected, and which protection is required.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum SecurityLevel {
    /// Accept everything. Signatures are checked if there is an authentication file
    #[default]
    None,
    /// Accept signed and encrypted datagrams
    Sign,
    /// Accept encrypted datagrams
    Encrypt,
}

/// How values are made of readings.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    /// The protection that is required.
    pub(super) security: SecurityLevel,
    /// Whether a counter may be sent for a derive, and the reverse. `types.db` decides which it is.
    pub(super) counter_eq_derive: bool,
    /// Whether a counter below 2^31 that became smaller was reset, instead of wrapped.
    pub(super) counter_resets: bool,
    /// The replacement for dots in the parts of a name.
    pub(super) dot: Option<String>,
}

impl Options {
    /// Whether a value with this code in the datagram can be one of `kind`.
    fn accepts(&self, code: u8, kind: SourceKind) -> bool {
        let is_difference = |kind| matches!(kind, SourceKind::Counter | SourceKind::Derive);
        SourceKind::from_code(code).is_some_and(|sent| {
            sent == kind || self.counter_eq_derive && is_difference(sent) && is_difference(kind)
        })
    }
}

/// What becomes of a part of a datagram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Outcome<'a> {
    /// A value.
    Sample(Sample<'a>),
    /// Something that is not used.
    Rejected(Rejected<'a>),
}

/// Decodes datagrams.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    options: Options,
    pub(super) types: TypesDb,
    /// `None` if there is no authentication file.
    pub(super) users: Option<Users>,
    converter: Converter,
    now_ms: u64,
    uptime_ms: u64,
}

/// What a datagram continues with.
enum Next {
    Part,
    /// The rest is not used.
    Datagram,
}

type Sink<'a> = &'a mut dyn FnMut(Outcome<'_>);

impl Decoder {
    pub(super) fn new(options: Options, types: TypesDb, users: Option<Users>) -> Self {
        let converter = Converter::new(options.counter_resets, options.dot.clone());
        Self { options, types, users, converter, ..Self::default() }
    }

    /// Decodes a datagram that was received at `now_ms` (Unix milliseconds), when the intake was open
    /// for `uptime_ms`. Passes each outcome to `sink`.
    pub(super) fn decode(&mut self, datagram: &[u8], now_ms: u64, uptime_ms: u64, sink: Sink<'_>) {
        (self.now_ms, self.uptime_ms) = (now_ms, uptime_ms);
        if datagram.is_empty() {
            return sink(Outcome::Rejected(PartError::Truncated.into()));
        }
        self.parts(datagram, SecurityLevel::None, sink);
    }

    /// Decodes parts that are protected by `security`.
    fn parts(&mut self, bytes: &[u8], mut security: SecurityLevel, sink: Sink<'_>) {
        let mut header = Header::default();
        let mut is_refused = false;
        for part in Parts(bytes) {
            let next = part.and_then(|part| match part.kind {
                kind::SIGNATURE => self.signature(&part, &mut security, sink),
                kind::ENCRYPTED => self.encrypted(&part, security, sink),
                _ if security < self.options.security => {
                    is_refused = true;
                    Ok(Next::Part)
                }
                _ => self.part(&part, &mut header, sink),
            });
            match next {
                Ok(Next::Part) => {}
                Ok(Next::Datagram) => return,
                Err(error) => return sink(Outcome::Rejected(error.into())),
            }
        }
        if is_refused {
            let why = match self.options.security {
                SecurityLevel::Encrypt => "it is not encrypted",
                SecurityLevel::None | SecurityLevel::Sign => "it is neither signed nor encrypted",
            };
            let about = About::Datagram { why };
            sink(Outcome::Rejected(Rejected { reason: "security", about }));
        }
    }

    fn signature(
        &self,
        part: &Part<'_>,
        security: &mut SecurityLevel,
        sink: Sink<'_>,
    ) -> Result<Next, PartError> {
        let signature = Signature::decode(part)?;
        let Some(users) = &self.users else { return Ok(Next::Part) };
        let user = signature.user;
        let rejected = match users.get(user) {
            Some(secret) if signature.verify(secret).is_ok() => {
                *security = SecurityLevel::Sign.max(*security);
                return Ok(Next::Part);
            }
            Some(_) => Rejected::user("key", user, "the signature is wrong; compare the passwords"),
            None => Rejected::unknown_user(user),
        };
        sink(Outcome::Rejected(rejected));
        Ok(Next::Datagram)
    }

    fn encrypted(
        &mut self,
        part: &Part<'_>,
        security: SecurityLevel,
        sink: Sink<'_>,
    ) -> Result<Next, PartError> {
        // Senders do not encrypt twice. Accepting it would make this recursion unbounded.
        if security == SecurityLevel::Encrypt {
            return Err(PartError::Malformed);
        }
        let encrypted = Encrypted::decode(part.payload)?;
        let user = encrypted.user;
        let decrypted = match &self.users {
            Some(users) => users.get(user).ok_or(Rejected::unknown_user(user)),
            None => Err(Rejected::user("user", user, "--collectd-auth-file is not given")),
        };
        let decrypted = decrypted.and_then(|secret| {
            let why = "it cannot be decrypted; compare the passwords";
            encrypted.decrypt(secret).map_err(|_| Rejected::user("key", user, why))
        });
        match decrypted {
            Ok(parts) => self.parts(&parts, SecurityLevel::Encrypt, sink),
            Err(rejected) => sink(Outcome::Rejected(rejected)),
        }
        Ok(Next::Part)
    }

    fn part<'a>(
        &mut self,
        part: &Part<'a>,
        header: &mut Header<'a>,
        sink: Sink<'_>,
    ) -> Result<Next, PartError> {
        if part.kind == kind::MESSAGE {
            let about = About::Notification { text: part.payload };
            sink(Outcome::Rejected(Rejected { reason: "notification", about }));
        }
        if let Some(values) = header.take(part)? {
            match header.list() {
                Ok(list) => self.list(&list, values, sink),
                Err(error) => sink(Outcome::Rejected(error.into())),
            }
        }
        Ok(Next::Part)
    }

    fn list(&mut self, list: &ListId<'_>, values: Values<'_>, sink: Sink<'_>) {
        let mut reject = |reason, why| {
            let about = About::List { list, why };
            sink(Outcome::Rejected(Rejected { reason, about }));
        };
        let Some(sources) = self.types.get(list.type_name) else {
            return reject("type", "no types.db has the type");
        };
        if values.kinds.len() != sources.len() {
            return reject("values", "types.db has another number of values");
        }
        let mut kinds = values.kinds.iter().zip(sources);
        if !kinds.all(|(code, source)| self.options.accepts(*code, source.kind)) {
            return reject("values", "types.db has another kind; see --collectd-counter-eq-derive");
        }
        let (seconds, now) = (list.time / UNITS_PER_SECOND, self.now_ms / 1_000);
        if seconds > now + MAX_AHEAD_SECONDS {
            return reject("future", "its time is more than five minutes ahead");
        }
        let is_protected = self.options.security > SecurityLevel::None;
        if is_protected && seconds + MAX_BEHIND_SECONDS < now {
            return reject("old", "its time is more than a day behind");
        }
        let readings = values.raw().zip(sources).map(|(bytes, source)| reading(source, bytes));
        let clocks = (self.now_ms, self.uptime_ms);
        self.converter.convert(list, sources, readings, clocks, |value| match value {
            Ok(sample) => sink(Outcome::Sample(sample)),
            Err((source, reason)) => {
                let about = About::Value { list, source: &source.name };
                sink(Outcome::Rejected(Rejected { reason, about }));
            }
        });
    }
}

/// A reading. Doubles are little-endian, integers are big-endian.
const fn reading(source: &DataSource, bytes: [u8; 8]) -> u64 {
    match source.kind {
        SourceKind::Gauge => u64::from_le_bytes(bytes),
        SourceKind::Absolute | SourceKind::Counter | SourceKind::Derive => {
            u64::from_be_bytes(bytes)
        }
    }
}

#[cfg(test)]
mod tests;
