//! Collection: what has gathered becomes batches, and an account of every reading.

pub(crate) mod batches;
pub(crate) mod collector;
pub(crate) mod demand;
pub(crate) mod ledger;
pub(crate) mod self_metrics;
