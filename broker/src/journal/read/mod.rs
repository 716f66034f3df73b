//! Reading a journal: batches for those who follow it, and all that is in it for those who check it.

mod inspect;
mod reader;
mod survey;

pub(crate) use inspect::{Inspection, SegmentReport, inspect};
pub(crate) use reader::{Batch, Flow, Reader, Stopped};
pub(crate) use survey::{first_time, put_abandoned_first, survey};
