//! The place of scripts in a broker without them.

use super::file::Problem;
use super::rule::Dropped;
use super::sample::Series;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// A script, of which there is none.
#[derive(Debug)]
pub(super) struct Script(Infallible);

impl Script {
    pub(super) fn compile(_: &str, _: BTreeMap<String, String>) -> Result<Self, Problem> {
        let why =
            "this zibrato-broker is built without scripts; build it with the feature `scripts`";
        Err(Problem { line: 1, column: 1, why: why.to_owned() })
    }

    pub(super) const fn processes(&self) -> bool {
        match self.0 {}
    }

    pub(super) const fn converter(&self, _: &str) -> Option<&str> {
        match self.0 {}
    }

    pub(super) const fn convert(
        &self,
        _: &str,
        _: &Series<'_>,
        _: f64,
        _: f64,
        _: f64,
    ) -> Result<String, Dropped> {
        match self.0 {}
    }

    pub(super) const fn process(
        &self,
        _: [&str; 2],
        _: f64,
        _: f64,
        _: f64,
    ) -> Result<(String, String, f64, f64), Dropped> {
        match self.0 {}
    }
}
