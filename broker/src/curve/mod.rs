//! Who may come in, when the broker encrypts: the list of allowed keys, the thread that libzmq asks
//! about each newcomer, and what becomes of those that are no longer allowed.
//!
//! libzmq asks once, when a connection begins. A key that is taken off the list later is cut off in
//! two ways: what it sends is dropped by its name ([`Guard::admits`]), and every socket through which
//! something gets out cuts all its connections, so that all have to ask anew ([`Guard::look`], [`Doorway`]).

mod allowed;
mod gate;
mod guard;
mod libzmq;
mod zap;

pub use allowed::AllowedError;
pub use gate::{KeyCounters, Reloaded};

pub(crate) use gate::Gate;
pub(crate) use guard::{Doorway, Guard};
pub(crate) use zap::{StartZapError, ZapThread};

use crate::sockets::ZAP_DOMAIN;
use zibrato::curve::SecretKey;

/// Makes a socket that does not listen yet encrypt, and let nobody in whom the [`ZapThread`] has not
/// judged, also when that thread is gone.
pub(crate) fn secure(socket: &mut zmq::Socket, key: &SecretKey) -> zmq::Result<()> {
    socket.set_curve_server(true)?;
    socket.set_curve_publickey(key.public_key().as_bytes())?;
    socket.set_curve_secretkey(key.expose())?;
    socket.set_zap_domain(ZAP_DOMAIN)?;
    libzmq::enforce_domain(socket)
}
