//! Access control by CURVE keys: the list of allowed keys, the thread that libzmq asks about each new
//! connection, and the revocation of keys.
//!
//! libzmq asks once, when a connection begins. A key that is revoked later is disconnected in two ways:
//! messages from it are dropped ([`RevocationFilter::admits`]), and every socket that sends closes all
//! its connections, so that their peers have to be judged again ([`RevocationFilter::look`],
//! [`Listener`]).

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

/// Makes a socket that does not listen yet encrypt, and accept only keys that the [`ZapThread`] has
/// admitted, also when that thread is gone.
pub(crate) fn secure(socket: &mut zmq::Socket, key: &SecretKey) -> zmq::Result<()> {
    socket.set_curve_server(true)?;
    socket.set_curve_publickey(key.public_key().as_bytes())?;
    socket.set_curve_secretkey(key.expose())?;
    socket.set_zap_domain(ZAP_DOMAIN)?;
    enforce_zap_domain(socket)
}
