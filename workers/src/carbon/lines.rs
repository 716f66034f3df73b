//! Windows as the lines that Carbon gets, for what carries them to a Carbon elsewhere.

use super::encode::Encoder;
use super::flags::parts;
use super::{GaugeParts, NameFlags, TimerParts, split};
use crate::backend::Payload;
use crate::once::Once;
use zibrato::daemon::{Exit, Failure};
use zibrato::window::Window;

/// Writes the same lines as `zibrato-carbon` with the same flags.
#[derive(Debug)]
pub(crate) struct Lines {
    encoder: Encoder,
    once: Once,
}

impl Lines {
    /// # Errors
    /// If the flags contradict each other.
    pub(crate) fn new(
        names: &NameFlags,
        timer: Option<TimerParts>,
        gauge: Option<GaugeParts>,
    ) -> Result<Self, Failure> {
        let wrong = |message| Failure::new(Exit::Config, message);
        let naming = names.naming().map_err(wrong)?;
        let (timer_parts, gauge_parts) = parts(&naming, timer, gauge).map_err(wrong)?;
        let encoder = Encoder { naming, timer_parts, gauge_parts, ..Encoder::default() };
        Ok(Self { encoder, once: Once::default() })
    }

    /// The lines of a window, in payloads of whole series. Logs names that are changed.
    pub(crate) fn of(&mut self, window: Window) -> Vec<Payload> {
        let stamp = window.stamp();
        let encoded = self.encoder.encode(window);
        encoded.log(stamp, &mut self.once);
        encoded.payloads
    }

    /// The halves of a payload; `None` if it has only one series.
    pub(crate) fn split(&self, payload: &Payload) -> Option<[Payload; 2]> {
        split::split(payload, &self.encoder)
    }

    /// The first names in a payload.
    pub(crate) fn names(&self, payload: &Payload, most: usize) -> Vec<String> {
        split::names(payload, most, &self.encoder)
    }

    /// Whether it needs each reading of timers: see [`Backend::keeps_readings`](crate::Backend::keeps_readings).
    pub(crate) const fn needs_readings(&self) -> bool {
        self.encoder.naming.statsd().is_some()
    }
}
