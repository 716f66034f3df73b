//! `--dry-run`: prints what would be delivered.

use crate::backend::{Backend, Opened, Payload, SendError};
use zibrato::daemon::print;
use zibrato::window::Window;

/// A backend that prints payloads instead of sending them.
#[derive(Debug)]
pub(super) struct DryRun<B> {
    backend: B,
    /// Printed before each payload, if there are several destinations.
    head: String,
}

impl<B: Backend> DryRun<B> {
    pub(super) fn of(Opened { destination, backend }: Opened<B>) -> Opened<Self> {
        let head = destination.iter().map(|to| format!("# to {to}\n")).collect();
        Opened { destination, backend: Self { backend, head } }
    }
}

impl<B: Backend> Backend for DryRun<B> {
    fn payloads(&mut self, window: Window) -> Vec<Payload> {
        self.backend.payloads(window)
    }

    fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
        let body = String::from_utf8_lossy(&payload.body);
        let end = if body.ends_with('\n') { "" } else { "\n" };
        let printed = print(&format!("{}{body}{end}", self.head));
        printed.map_err(|why| SendError::Stop { why: why.message.into() })
    }

    fn destination(&self) -> Option<String> {
        Some("standard output".to_owned())
    }

    fn keeps_readings(&self) -> bool {
        self.backend.keeps_readings()
    }

    fn keeps_gauge_seconds(&self) -> bool {
        self.backend.keeps_gauge_seconds()
    }

    fn omitted(&self) -> Vec<(&'static str, u64)> {
        self.backend.omitted()
    }

    fn delivers_series(&self) -> bool {
        self.backend.delivers_series()
    }
}
