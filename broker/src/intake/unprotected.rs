//! Addresses at which intakes accept input without protection.

use std::fmt;
use std::net::ToSocketAddrs;

/// An address of an intake that is neither encrypted nor authenticated.
#[derive(Debug, Clone)]
#[must_use]
pub struct Unprotected {
    pub(crate) flag: &'static str,
    pub(crate) address: String,
    /// How to protect it, if the protocol allows that.
    pub(crate) protection: Option<&'static str>,
    /// What anyone who reaches it can do.
    pub(crate) can: &'static str,
}

impl Unprotected {
    /// The address `HOST:PORT`, and the flag or setting that it comes from.
    pub fn new(flag: &'static str, address: impl fmt::Display) -> Self {
        Self { flag, address: address.to_string(), protection: None, can: "send" }
    }

    /// What the user can do to protect the address, such as `require passwords with --auth`.
    pub const fn or(mut self, protection: &'static str) -> Self {
        self.protection = Some(protection);
        self
    }

    /// What anyone who reaches the address can do, if it is not to send.
    pub(crate) const fn for_those_who(mut self, can: &'static str) -> Self {
        self.can = can;
        self
    }

    /// Whether other machines may reach it. An unknown host is an error when it is bound.
    pub(crate) fn is_exposed(&self) -> bool {
        let addresses = self.address.to_socket_addrs();
        addresses.is_ok_and(|mut all| all.any(|address| !address.ip().is_loopback()))
    }
}
