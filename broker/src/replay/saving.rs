//! Saves cursors. After failures it retries at increasing intervals, and does not log each of them.

use crate::journal::{Cursors, Directory, is_folder_missing};
use std::time::{Duration, Instant};
use zibrato::daemon::LogLimit;

/// Time before the first retry.
const SHORT: Duration = Duration::from_millis(100);

/// Maximum time between two retries.
const LONG: Duration = Duration::from_secs(5);

/// The results of saving.
#[derive(Debug, Default)]
pub(super) struct Saving {
    failed: Option<Failed>,
    failures: u64,
    told: LogLimit<60>,
}

#[derive(Debug)]
struct Failed {
    problem: String,
    pause: Duration,
    next: Instant,
}

impl Saving {
    /// Saves changed cursors, unless a retry is not due yet.
    ///
    /// # Errors
    /// The refusal for readers: why the cursors are not saved.
    pub(super) fn save(
        &mut self,
        cursors: &mut Cursors,
        directory: &Directory,
        now: Instant,
    ) -> Result<(), String> {
        if let Some(failed) = self.failed.as_ref().filter(|failed| now < failed.next)
            && cursors.is_to_be_saved(directory)
        {
            return Err(failed.problem.clone());
        }
        let Err(error) = cursors.save(directory) else {
            self.failed = None;
            if self.told.is_over() {
                tracing::info!(event = "cursors_saved_again");
            }
            return Ok(());
        };
        let folder = directory.path().display();
        let problem = if is_folder_missing(&error) {
            error.to_string()
        } else {
            format!(
                "the folder {folder} cannot be written: {error}; check its permissions and the \
                 free space on its disk"
            )
        };
        if self.told.admits() {
            let why = "readers continue; after a restart of the broker they start at their last \
                       saved positions";
            tracing::error!(event = "cursors_not_saved", problem, why);
        }
        self.failures += 1;
        let pause = self.failed.take().map_or(SHORT, |failed| LONG.min(failed.pause * 2));
        self.failed = Some(Failed { problem: problem.clone(), pause, next: now + pause });
        Err(problem)
    }

    /// The reason why cursors cannot be saved, if they cannot, and the number of failures.
    pub(super) fn health(&self) -> (Option<String>, u64) {
        (self.failed.as_ref().map(|failed| failed.problem.clone()), self.failures)
    }
}
