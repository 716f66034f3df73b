//! Counts what is accepted, and what nobody wants of it.

use super::Router;
use crate::intake::SOCKETS;
use crate::subscriptions::Wants;

impl Router {
    pub(super) fn count_line(&mut self, intake: usize, wants: Wants) {
        self.counters.intakes[intake].lines += 1;
        self.counters.unwanted_lines += u64::from(!wants.any());
    }

    pub(super) fn count_batch(&mut self, intake: usize, level: &str) {
        let is_wanted = self.subscriptions.wants(level).any();
        self.counters.intakes[intake].batches += 1;
        self.counters.unwanted_batches += u64::from(!is_wanted);
        let intake = self.counters.intakes[intake].name;
        if SOCKETS.iter().all(|zeromq| zeromq.name != intake) {
            self.log.unwanted.hear((intake, level), is_wanted, &self.wanted, self.now_ms);
        }
    }
}
