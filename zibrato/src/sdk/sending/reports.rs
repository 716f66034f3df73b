//! What a program reports about its broker, in its log and in its statistics.

use super::contact::{Contact, Step};
use super::link::{Dial, Link};
use super::look::Look;
use crate::sdk::cells::lock;
use crate::sdk::collection::Collector;
use crate::sdk::notices::{Once, Severity, give};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Reports {
    contact: Contact,
    /// The look at the broker that has not found a reason yet.
    look: Option<Look>,
    /// The number of lost readings at the first look of this outage.
    lost_before: Option<u64>,
}

impl Reports {
    pub(super) fn new(patience: Duration, now: Instant) -> Self {
        Self { contact: Contact::new(patience, now), look: None, lost_before: None }
    }

    /// Finds out why the broker is not connected, and reports it.
    pub(super) fn step(&mut self, now: Instant, link: &Link, dial: &Dial, collector: &Collector) {
        let ledger = &collector.ledger;
        if let Some(reason) = self.look.as_ref().and_then(Look::found) {
            self.look = None;
            if !link.is_connected() {
                lock(ledger).unreachable = Some(reason);
                self.contact.explain();
            }
        }
        let [endpoint, _] = &dial.endpoints;
        match self.contact.step(now, link.is_connected(), link.last_received()) {
            None => {}
            Some(Step::Look) => {
                let lost = || collector.stats().total_lost();
                self.lost_before.get_or_insert_with(lost);
                // A name server that does not answer may keep a look for long.
                if self.look.is_none() {
                    let Dial { endpoints, curve, .. } = dial.clone();
                    // Without a thread, the next look may find the reason.
                    self.look = Look::begin(endpoints, curve).ok();
                }
            }
            Some(Step::Report { away }) => {
                let Some(reason) = lock(ledger).unreachable.clone() else { return };
                give(Severity::Warning, || {
                    format!(
                        "no contact with a broker at {endpoint} for {} s: {reason}. \
                         Measurements are summed up in memory until the broker is reached",
                        away.as_secs()
                    )
                });
            }
            Some(Step::Back { away }) => {
                let stats = collector.stats();
                let lost = stats.total_lost() - self.lost_before.unwrap_or_default();
                give(Severity::Info, || {
                    let lost = match lost {
                        0 => "nothing was lost".to_owned(),
                        _ => format!("{lost} measurements were lost ({:?})", stats.lost),
                    };
                    let (away, waiting) = (away.as_secs(), stats.pending);
                    format!(
                        "in contact with the broker at {endpoint} again after {away} s: {lost}; \
                         {waiting} measurements are being sent"
                    )
                });
            }
        }
        if link.is_connected() && self.lost_before.take().is_some() {
            lock(ledger).unreachable = None;
        }
    }
}

/// Once, because some programs install one instrument after another.
static LOST_AT_THE_END: Once = Once::new();

/// Reports what the last flush could not deliver.
pub(super) fn at_the_end(dial: &Dial, collector: &Collector) {
    let ledger = lock(&collector.ledger).clone();
    let lost = ledger.expired;
    if lost > 0 {
        let [endpoint, _] = &dial.endpoints;
        LOST_AT_THE_END.warn(|| {
            let why = ledger.unreachable.map(|reason| format!(" ({reason})")).unwrap_or_default();
            format!(
                "{lost} measurements were lost when measuring ended: the broker at {endpoint} did \
                 not accept them within the flush deadline{why}"
            )
        });
    }
}
