//! Points and call sites: where one series is measured, and whether anybody wants it.

mod baseline;
pub(crate) mod capture;
pub(crate) mod family;
pub(crate) mod instrument;
pub(crate) mod loss;
pub(crate) mod measure;
pub(crate) mod names;
mod owned;
pub(crate) mod point;
pub(crate) mod registry;
pub(crate) mod series;
pub(crate) mod shape;
pub(crate) mod site;
pub(crate) mod site_names;
pub(crate) mod tags;
pub(crate) mod timing;
