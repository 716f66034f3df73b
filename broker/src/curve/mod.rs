//! Access control by CURVE keys: the list of allowed keys, the thread that libzmq asks about each new
//! connection, and the revocation of keys.
//!
//! libzmq asks only once, when a connection begins. So clients whose key is revoked later are
//! disconnected in two ways: their messages are dropped ([`RevocationFilter::admits`]), and every
//! socket that sends closes all its connections, so that the keys of its peers are checked again
//! ([`RevocationFilter::look`], [`Listener`]).

mod allowed;
mod key_store;
mod revocation;
mod zap;

pub use allowed::AllowedError;
pub use key_store::{KeyCounters, Reloaded};

pub(crate) use key_store::KeyStore;
pub(crate) use revocation::{Listener, RevocationFilter};
pub(crate) use zap::{StartZapError, ZapThread};

use crate::libzmq::options::enforce_zap_domain;
use crate::sockets::ZAP_DOMAIN;
use zibrato::curve::SecretKey;

/// Enables encryption on a socket that does not listen yet. From then on it accepts only keys that
/// the [`ZapThread`] allows, and no keys once that thread has ended.
pub(crate) fn secure(socket: &mut zmq::Socket, key: &SecretKey) -> zmq::Result<()> {
    socket.set_curve_server(true)?;
    socket.set_curve_publickey(key.public_key().as_bytes())?;
    socket.set_curve_secretkey(key.expose())?;
    socket.set_zap_domain(ZAP_DOMAIN)?;
    enforce_zap_domain(socket)
}
