//! What every TLS client of the workers needs: the trusted authorities, and errors about
//! certificates that say what to do.

mod certificate;
mod issuer;
mod trust;

pub(crate) use certificate::{NO_TLS, explain};
pub(crate) use issuer::issuer_in;
#[cfg(feature = "carbon")]
pub(crate) use trust::in_file;
pub(crate) use trust::{Given, Trust};
