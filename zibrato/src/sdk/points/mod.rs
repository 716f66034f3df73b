//! Points and call sites: where one series is measured, and whether anybody wants it.

pub(crate) mod annotations;
mod baseline;
pub(crate) mod by_name;
mod cache;
pub(crate) mod capture;
pub(crate) mod choice;
pub(crate) mod constant;
pub(crate) mod draft;
pub(crate) mod family;
pub(crate) mod idle;
pub(crate) mod instrument;
pub(crate) mod key;
pub(crate) mod measure;
pub(crate) mod names;
pub(crate) mod noted;
pub(crate) mod point;
pub(crate) mod series;
pub(crate) mod site;
pub(crate) mod tags;
pub(crate) mod target;
pub(crate) mod texts;
pub(crate) mod variant;
