//! The bytes of a segment: how a record is written, and how records are found again.

pub(crate) mod record;
pub(crate) mod scan;
