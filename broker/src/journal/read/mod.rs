//! Reading a journal: batches for readers, and the whole content for inspection.

mod inspect;
mod reader;
mod survey;

pub(crate) use inspect::{Inspection, SegmentReport, inspect};
pub(crate) use reader::{Batch, Flow, Reader, Stopped};
pub(crate) use survey::{first_time, put_abandoned_first, survey};
