//! TLS to Carbon: which certificates are trusted, the session on a TCP stream, and why a connection
//! is impossible.

mod files;
mod flags;
mod hindrance;
mod probe;
mod session;
mod verifier;

pub(super) use flags::TlsClient;
pub use flags::{Tls, TlsFlags};
pub(super) use hindrance::Hindrance;
pub(super) use probe::speaks_tls;
pub(super) use session::Session;
