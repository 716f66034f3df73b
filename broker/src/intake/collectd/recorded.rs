//! Reads recorded datagrams, for `tests/vectors`.

use super::crypt::Secret;
use super::datagram::Decoder;
use super::files::Files;
use super::parts::kind;
use super::{CollectdFlags, receive};
use crate::intake::recorded::{context, flags};
use crate::intake::{IntakeContext, IntakeError};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

/// The intake without its sockets.
#[derive(Debug)]
pub struct CollectdPackets {
    context: IntakeContext,
    decoder: Decoder,
}

/// The name, the code of the kind, the minimum and the maximum of a data source.
pub type Source = (String, u8, f64, f64);

impl CollectdPackets {
    /// The intake with these flags, whose files are read, and the rules of a file.
    ///
    /// # Errors
    /// What would prevent the broker from starting.
    pub fn new(args: &[String], rules: Option<&Path>) -> Result<Self, IntakeError> {
        let collectd = flags::<CollectdFlags>(args)?.collectd();
        let mut files = Files::new(&collectd.types, collectd.auth.as_deref());
        let (types, users) = (files.read_types()?, files.read_users()?);
        let decoder = Decoder::new(collectd.options.clone(), types, users);
        Ok(Self { context: context("collectd", rules)?, decoder })
    }

    /// Takes a datagram that arrives at `now_ms`, in Unix milliseconds. Returns the bodies of the
    /// batches that it gives.
    pub fn take(&mut self, datagram: &[u8], now_ms: u64) -> Vec<Vec<u8>> {
        self.context.continue_at(now_ms);
        let sender = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        receive::take(&mut self.context, &mut self.decoder, "info", datagram, sender);
        self.context.bodies()
    }

    /// What was rejected, by reason.
    #[must_use]
    pub fn rejected(&self) -> BTreeMap<&'static str, u64> {
        self.context.counters.rejected.iter().map(|(reason, times)| (*reason, *times)).collect()
    }

    /// The types of the files.
    #[must_use]
    pub fn types(&self) -> BTreeMap<String, Vec<Source>> {
        let all = self.decoder.types.iter().map(|(name, sources)| {
            let sources = sources.iter().map(|source| {
                (source.name.to_string(), source.kind.code(), source.min, source.max)
            });
            (name.to_owned(), sources.collect())
        });
        all.collect()
    }
}

/// Parts that a user has signed.
#[must_use]
pub fn signed(user: &[u8], password: &[u8], parts: &[u8]) -> Vec<u8> {
    let Some(secret) = Secret::new(password) else { return Vec::new() };
    let code = secret.code(&[user, parts].concat());
    let length = u16::try_from(4 + code.len() + user.len()).unwrap_or(u16::MAX);
    [&kind::SIGNATURE.to_be_bytes()[..], &length.to_be_bytes(), &code, user, parts].concat()
}
