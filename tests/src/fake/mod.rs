//! Stand-ins for the services that workers deliver to, on loopback and as strict as the real ones.

mod blocks;
mod http;
mod librato;
mod slack;
mod tls;

// The public interface is:
pub use http::{Reply, Request};
pub use librato::{FakeLibrato, LibratoState, Total};
pub use slack::{FakeSlack, Message, SlackState};
pub use tls::{ConnectProxy, Tls};
