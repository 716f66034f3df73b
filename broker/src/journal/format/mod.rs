//! The format of a segment: how a record is written, and how records are found after damage.

pub(crate) mod record;
pub(crate) mod scan;
