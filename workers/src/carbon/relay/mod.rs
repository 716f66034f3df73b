//! Which of several destinations a point goes to, as Carbon's relay decides it.
//!
//! Pure.

mod flags;
mod hash;
mod ring;
mod router;
mod rules;
mod share;

pub use flags::{RelayFlags, RelayMethod};
pub use hash::HashType;
pub use router::Router;
pub(crate) use share::Share;
