//! The averages of meters, from their counts at each flush: an average changes every 5 seconds.
//! Independent of the product.

use crate::compare::Lines;
use std::collections::BTreeMap;

/// Time between two changes of an average, in milliseconds.
const TICK_MS: u64 = 5_000;

/// The averages, with the minutes of each.
const AVERAGES: [(&str, f64); 3] = [("rate_1m", 1.0), ("rate_5m", 5.0), ("rate_15m", 15.0)];

/// All meters.
#[derive(Debug)]
pub(super) struct Meters {
    meters: BTreeMap<String, Meter>,
    /// When the last packet came.
    packet_ms: u64,
}

#[derive(Debug)]
struct Meter {
    /// The count at the last flush.
    count: f64,
    /// Time of the last tick.
    ticked_ms: u64,
    averages: Option<[f64; 3]>,
}

impl Meters {
    pub(super) const fn new() -> Self {
        Self { meters: BTreeMap::new(), packet_ms: 0 }
    }

    /// Notes when a packet comes.
    pub(super) const fn packet(&mut self, now_ms: u64) {
        self.packet_ms = now_ms;
    }

    /// The averages of the meters of a flush that have not had one tick. What was counted since the last flush came with the
    /// last packet.
    pub(super) fn flush(&mut self, recorded: &Lines, now_ms: u64) -> Vec<(String, Option<f64>)> {
        let mut all = Vec::new();
        let meters = recorded.keys().filter_map(|name| name.strip_suffix(".rate_avg"));
        for name in meters {
            let Some(count) = recorded.get(&format!("{name}.count")) else { continue };
            let (count, packet_ms) = (*count, self.packet_ms);
            let new = || Meter { count: 0.0, ticked_ms: packet_ms, averages: None };
            let meter = self.meters.entry(name.to_owned()).or_insert_with(new);
            let events = count - meter.count;
            if events != 0.0 {
                meter.tick(packet_ms, 0.0);
            }
            // With one tick, bucky computes the same.
            let is_regular = meter.tick(now_ms, events) == 1;
            meter.count = count;
            if is_regular {
                continue;
            }
            for (at, (word, _)) in AVERAGES.iter().enumerate() {
                all.push((format!("{name}.{word}"), meter.averages.map(|averages| averages[at])));
            }
        }
        all
    }
}

impl Meter {
    /// Returns the number of ticks.
    fn tick(&mut self, now_ms: u64, mut events: f64) -> u64 {
        let mut ticks = 0;
        while now_ms.saturating_sub(self.ticked_ms) >= TICK_MS {
            self.ticked_ms += TICK_MS;
            ticks += 1;
            let instant = std::mem::take(&mut events) / 5.0;
            let averages = self.averages.get_or_insert([instant; 3]);
            for (average, (_, minutes)) in averages.iter_mut().zip(AVERAGES) {
                *average += (1.0 - (-5.0 / 60.0 / minutes).exp()) * (instant - *average);
            }
        }
        ticks
    }
}
