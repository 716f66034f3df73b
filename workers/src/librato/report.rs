//! Counts and logs what a window lacks after it was encoded.

use super::Librato;
use super::accept::Omitted;
use super::gauges::Encoded;
use crate::Payload;
use std::time::Instant;

impl Librato {
    /// The payloads of a window that is encoded.
    pub(super) fn whole(
        &mut self,
        mut encoded: Encoded,
        annotations: Vec<Payload>,
    ) -> Vec<Payload> {
        self.report(&encoded);
        encoded.payloads.extend(annotations);
        self.spent = encoded.spent;
        encoded.payloads
    }

    /// Counts and logs what is not sent as it was published.
    pub(super) fn report(&mut self, encoded: &Encoded) {
        if encoded.homeless > 0 {
            self.dropped += encoded.homeless;
            let first = encoded.first_homeless.as_deref().unwrap_or_default();
            if self.once.is_news("series_dropped", first) {
                tracing::warn!(event = "series_dropped", count = encoded.homeless, first);
            }
        }
        for (omitted, (count, first)) in Omitted::ALL.into_iter().zip(&encoded.omitted) {
            let place = omitted as usize;
            self.omitted[place] += count;
            let limit = &mut self.limits[place];
            if *count > 0
                && let Some(left_out) = limit.admit(Instant::now())
            {
                let (reason, why) = (omitted.word(), omitted.why());
                let first = first.as_deref().unwrap_or_default();
                tracing::warn!(event = "points_omitted", reason, count, first, left_out, why);
            }
        }
        if encoded.merged > 0 || encoded.renamed > 0 {
            let (merged, renamed) = (encoded.merged, encoded.renamed);
            tracing::debug!(event = "series_renamed", merged, renamed);
        }
        encoded.alike.log();
    }
}
