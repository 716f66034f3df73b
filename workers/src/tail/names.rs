//! Which names are printed.
//!
//! Pure.

/// The beginning of the names of what Zibrato measures about itself.
pub(super) const OWN: &str = "zibrato.";

/// The names that are printed.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) prefix: String,
    /// Whether they include what Zibrato measures about itself.
    pub(super) own: bool,
}

impl Names {
    pub(super) fn include(&self, name: &str) -> bool {
        name.starts_with(&*self.prefix) && (self.own || !name.starts_with(OWN))
    }
}
