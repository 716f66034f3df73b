//! Stand-ins for the services that workers deliver to, on loopback and as strict as the real ones.

mod authority;
mod blocks;
mod forward;
mod http;
mod librato;
mod peer;
mod scripted;
mod slack;
mod tls;

// The public interface is:
pub use authority::{Authority, Identity};
pub use forward::{Fault, FaultyLibrato};
pub use http::{Reply, Request};
pub use librato::{FakeLibrato, LibratoState, Total};
pub use peer::{Ending, TlsPeer};
pub use scripted::ScriptedServer;
pub use slack::{FakeSlack, Message, Shared, SlackState, Stored};
pub use tls::{ConnectProxy, Tls};
