//! The thread that passes notices to the logger of the application, by the `log` crate.
//!
//! No other thread of the SDK may call the logger: it is code of the application, which may use
//! descriptors, and the sender's thread does not have those of the application (see
//! `descriptor_table.rs`). This thread is started by a thread of the application, and shares its
//! table of descriptors. A logger that blocks delays only further notices.

use super::thread::Thread;
use crate::sdk::notices::{self, Notice};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Maximum time to wait at the end until the logger has taken the last notices.
const LAST_LINES: Duration = Duration::from_millis(200);

/// The `target` of log lines.
#[cfg(feature = "log")]
const TARGET: &str = "zibrato";

/// The owner of the thread.
#[derive(Debug)]
pub(super) struct Logging {
    thread: Thread,
    /// Whether the thread should end.
    over: Arc<AtomicBool>,
}

impl Logging {
    /// Starts the thread. `None` if the system has none available: an application is then measured,
    /// but gets no notices.
    pub(super) fn start() -> Option<Self> {
        if !cfg!(feature = "log") {
            return None;
        }
        let over = Arc::new(AtomicBool::new(false));
        let its = Arc::clone(&over);
        let run = move || {
            while let Some(notice) = notices::next(&its) {
                // The panic hook reports it. The next notice may be logged.
                catch_unwind(AssertUnwindSafe(|| log(&notice))).ok();
            }
        };
        let thread = Thread::spawn(c"zibrato-log", run).ok()?;
        Some(Self { thread, over })
    }

    /// Ends the thread after the last notice. A thread that does not end in time, because the
    /// logger or the destructor of one of its thread-locals blocks, is abandoned.
    pub(super) fn stop(self) {
        notices::end(&self.over);
        self.thread.join_within(LAST_LINES);
    }
}

#[cfg(not(feature = "log"))]
const fn log(_: &Notice) {}

#[cfg(feature = "log")]
fn log(notice: &Notice) {
    let Notice { severity, text, dropped } = notice;
    let level = match severity {
        notices::Severity::Info => log::Level::Info,
        notices::Severity::Warning => log::Level::Warn,
    };
    if *dropped > 0 {
        log::warn!(target: TARGET, "{dropped} notices were not logged, because the logger is slow");
    }
    log::log!(target: TARGET, level, "{text}");
}
