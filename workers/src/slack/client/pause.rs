//! How the client waits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Waits, and returns whether to go on.
#[derive(Clone)]
pub(super) struct Pause(Arc<dyn Fn(Duration) -> bool + Send + Sync>);

impl Pause {
    pub(super) fn new(wait: impl Fn(Duration) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(wait))
    }

    pub(super) fn go_on_after(&self, wait: Duration) -> bool {
        wait.is_zero() || (self.0)(wait)
    }
}

impl Default for Pause {
    fn default() -> Self {
        Self::new(|wait| {
            std::thread::sleep(wait);
            true
        })
    }
}

impl fmt::Debug for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pause")
    }
}
