//! The last word of a thread.

use zibrato::daemon::Stop;

/// Says that the thread has ended, also when it panics.
pub(crate) struct RaiseOnDrop(pub(crate) Stop);

impl Drop for RaiseOnDrop {
    fn drop(&mut self) {
        self.0.raise();
    }
}
