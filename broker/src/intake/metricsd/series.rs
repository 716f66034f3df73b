//! All metrics, and when each of them is published.

use super::decode::{Action, Change};
use super::handlers::{Handlers, full_name};
use super::metrics::{Metric, MetricKind};
use fastrand::Rng;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::time::Duration;
use zibrato::{DEFAULT_SOURCE, MAX_NAME_BYTES, check_name};

/// The maximum number of statistics of all metrics, which is that of series in a window of the
/// intake. A histogram has 12 of them, and needs up to 17 KB.
pub(super) const MAX_STATISTICS: usize = 100_000;

/// The metrics of all hosts. Ages and rates are differences of uptimes, which are not affected if the
/// clock is set; schedules follow the clock.
#[derive(Debug)]
pub(super) struct AllMetrics {
    hosts: HashMap<String, Host, RandomState>,
    /// The number of statistics that the metrics have, and its limit.
    statistics: usize,
    max_statistics: usize,
    handlers: Handlers,
    schedules: Vec<Schedule>,
    /// Time without a change after which a metric is forgotten.
    expire_ms: u64,
    random: Rng,
}

type Host = HashMap<String, Entry, RandomState>;

#[derive(Debug)]
struct Entry {
    metric: Metric,
    interval_ms: u64,
    /// The uptime at the last change.
    changed_ms: u64,
}

/// The times when the metrics with this interval are published: its multiples.
#[derive(Debug)]
struct Schedule {
    interval_ms: u64,
    next_ms: u64,
}

impl Schedule {
    const fn new(interval_ms: u64, now_ms: u64) -> Self {
        let next_ms = now_ms - now_ms % interval_ms + interval_ms;
        Self { interval_ms, next_ms }
    }
}

/// A statistic to publish.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Statistic<'a> {
    pub(super) source: &'a str,
    pub(super) name: &'a str,
    pub(super) value: f64,
}

impl AllMetrics {
    /// No metrics yet.
    pub(super) fn new(
        handlers: Handlers,
        expire: Duration,
        max_statistics: usize,
        now_ms: u64,
    ) -> Self {
        let schedule = |interval_ms| Schedule::new(interval_ms, now_ms);
        let schedules = handlers.intervals_ms().into_iter().map(schedule).collect();
        Self {
            hosts: HashMap::default(),
            statistics: 0,
            max_statistics,
            handlers,
            schedules,
            expire_ms: u64::try_from(expire.as_millis()).unwrap_or(u64::MAX),
            random: Rng::new(),
        }
    }

    /// Changes a metric of a host, at this uptime of the intake.
    ///
    /// # Errors
    /// The reason by which the change is counted as rejected.
    pub(super) fn apply(
        &mut self,
        host: &str,
        change: &Change<'_>,
        uptime_ms: u64,
    ) -> Result<(), &'static str> {
        let Change { kind, name, action } = *change;
        if matches!(action, Action::Update(value) if !value.is_finite()) {
            return Err("value");
        }
        if matches!(action, Action::Delete) {
            self.remove(host, name);
            return Ok(());
        }
        if self.hosts.get(host).is_none_or(|host| !host.contains_key(name)) {
            let Action::Update(_) = action else { return Ok(()) };
            self.insert(host, name, kind, uptime_ms)?;
        }
        let entry = self.hosts.get_mut(host).and_then(|host| host.get_mut(name));
        let Some(entry) = entry.filter(|entry| entry.metric.kind() == kind) else {
            return Err("other_type");
        };
        entry.changed_ms = uptime_ms;
        match action {
            Action::Update(value) => entry.metric.update(value, uptime_ms, &mut self.random),
            Action::Clear => entry.metric.clear(uptime_ms),
            Action::Delete => {}
        }
        Ok(())
    }

    /// The kind of a metric, if it is known.
    pub(super) fn kind(&self, host: &str, name: &str) -> Option<MetricKind> {
        self.hosts.get(host)?.get(name).map(|entry| entry.metric.kind())
    }

    fn insert(
        &mut self,
        host: &str,
        name: &str,
        kind: MetricKind,
        uptime_ms: u64,
    ) -> Result<(), &'static str> {
        if !host.is_empty() && check_name(host).is_err() {
            return Err("source");
        }
        let has_room = name.len() + kind.longest_ending().len() <= MAX_NAME_BYTES;
        if check_name(name).is_err() || !has_room {
            return Err("name");
        }
        let statistics = self.statistics + kind.statistics();
        if statistics > self.max_statistics {
            return Err("series");
        }
        self.statistics = statistics;
        let interval_ms = self.handlers.interval_ms(&full_name(host, name));
        let entry =
            Entry { metric: Metric::new(kind, uptime_ms), interval_ms, changed_ms: uptime_ms };
        self.hosts.entry_ref(host).or_default().insert(name.to_owned(), entry);
        Ok(())
    }

    fn remove(&mut self, host: &str, name: &str) {
        let Some(metrics) = self.hosts.get_mut(host) else { return };
        let Some(entry) = metrics.remove(name) else { return };
        self.statistics -= entry.metric.kind().statistics();
        if metrics.is_empty() {
            self.hosts.remove(host);
        }
    }

    /// The earliest time when something is to be published, in Unix milliseconds.
    pub(super) fn next_ms(&self) -> u64 {
        self.schedules.iter().map(|schedule| schedule.next_ms).min().unwrap_or(u64::MAX)
    }

    /// Gives the statistics of all metrics that are due at `now_ms`, in Unix milliseconds, and forgets
    /// metrics that have not changed for long.
    pub(super) fn publish_due(
        &mut self,
        now_ms: u64,
        uptime_ms: u64,
        put: &mut dyn FnMut(Statistic<'_>),
    ) {
        let mut due = Vec::new();
        for schedule in &mut self.schedules {
            let Schedule { interval_ms, next_ms } = *schedule;
            // The clock may have been put back.
            if now_ms >= next_ms || next_ms - now_ms > interval_ms {
                due.push(interval_ms);
                *schedule = Schedule::new(interval_ms, now_ms);
            }
        }
        if !due.is_empty() {
            self.publish(uptime_ms, &due, put);
        }
    }

    /// Gives the statistics of all metrics.
    pub(super) fn publish_all(&mut self, uptime_ms: u64, put: &mut dyn FnMut(Statistic<'_>)) {
        self.publish(uptime_ms, &self.handlers.intervals_ms(), put);
    }

    fn publish(&mut self, uptime_ms: u64, due: &[u64], put: &mut dyn FnMut(Statistic<'_>)) {
        let (mut full, expire_ms) = (String::new(), self.expire_ms);
        let mut statistics = 0;
        self.hosts.retain(|host, entries| {
            let source = if host.is_empty() { DEFAULT_SOURCE } else { host };
            entries.retain(|name, entry| {
                let mut stays = true;
                if due.contains(&entry.interval_ms) {
                    entry.metric.statistics(uptime_ms, &mut |part, end, value| {
                        full.clear();
                        full.extend([&**name, part, end]);
                        put(Statistic { source, name: &full, value });
                    });
                    stays = uptime_ms.saturating_sub(entry.changed_ms) < expire_ms;
                }
                if stays {
                    statistics += entry.metric.kind().statistics();
                }
                stays
            });
            !entries.is_empty()
        });
        self.statistics = statistics;
    }
}

#[cfg(test)]
mod tests;
