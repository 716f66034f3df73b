//! Names that Librato accepts, and what of them it does not.
//!
//! Pure.

use std::fmt;
use std::sync::Arc;

/// The longest name that Librato accepts, in characters.
const LONGEST: usize = 255;

/// Makes a name one that Librato accepts, as python-librato's function of this name does: each run of
/// characters outside `A-Z a-z 0-9 . : - _` becomes one `-`, and what is beyond 255 characters is cut
/// off. Different names may become the same.
///
/// ```
/// use zibrato_workers::librato::client::sanitize_metric_name;
/// assert_eq!(sanitize_metric_name("Just*toBeSafe"), "Just-toBeSafe");
/// assert_eq!(sanitize_metric_name("café au lait"), "caf-au-lait");
/// ```
#[must_use]
pub fn sanitize_metric_name(name: &str) -> String {
    let mut clean = String::with_capacity(name.len().min(LONGEST));
    let mut in_run = false;
    for c in name.chars() {
        let is_allowed = c.is_ascii_alphanumeric() || ".:-_".contains(c);
        if clean.len() == LONGEST {
            break;
        }
        if is_allowed {
            clean.push(c);
        } else if !in_run {
            clean.push('-');
        }
        in_run = !is_allowed;
    }
    clean
}

/// What a client does with the names of metrics before it sends them.
#[derive(Clone, Default)]
pub(super) struct Sanitizer(Option<Arc<Change>>);

type Change = dyn Fn(&str) -> String + Send + Sync;

impl Sanitizer {
    pub(super) fn new(change: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(change)))
    }

    /// The name to send.
    pub(super) fn apply(&self, name: String) -> String {
        match &self.0 {
            Some(change) => change(&name),
            None => name,
        }
    }
}

impl fmt::Debug for Sanitizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "on" } else { "off" })
    }
}

#[cfg(test)]
mod tests {
    use super::sanitize_metric_name;

    #[test]
    fn names_of_ten_kilobytes_are_cut() {
        let long = "é x".repeat(5000);
        let clean = sanitize_metric_name(&long);
        assert_eq!(clean.len(), 255);
        assert_eq!(sanitize_metric_name(&clean), clean);
    }
}
