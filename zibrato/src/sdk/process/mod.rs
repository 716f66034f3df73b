//! The process: who has an instrument, and what becomes of it when the process forks or ends.

pub(crate) mod builder;
mod fork;
pub(crate) mod install;
mod owner;
pub(crate) mod zibrato;
