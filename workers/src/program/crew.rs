//! The workers of a program: one for each destination.

use crate::backend::{Backend, Opened};
use crate::hash::fnv1a;
use crate::worker::{StartError, StopReport, View, Worker, WorkerBuilder};
use std::time::{Duration, Instant};
use zibrato::daemon::Stop;

/// Maximum length of a worker's name.
const MAX_NAME: usize = 64;

/// The workers.
pub(super) struct Crew(Vec<(Option<String>, Worker)>);

/// The observable state of the workers, each with its destination if there are several.
#[derive(Debug, Clone)]
pub(super) struct Views(pub(super) Vec<(Option<String>, View)>);

/// The name of the worker for a destination: that of the program's only worker, or that with the
/// destination appended.
pub(super) fn worker_name(name: &str, destination: Option<&str>) -> String {
    let Some(destination) = destination else { return name.to_owned() };
    let may_be = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let clean = destination.replace(|c| !may_be(c), "_");
    let whole = format!("{name}.{clean}");
    if whole.len() <= MAX_NAME {
        return whole;
    }
    // A hash takes 16 characters, and a dot one.
    let head: String = whole.chars().take(MAX_NAME - 17).collect();
    format!("{head}.{:016x}", fnv1a(destination.as_bytes()))
}

impl Crew {
    /// Starts a worker for each destination. They stop when `stop` is raised; each raises it if one
    /// of its threads ends before.
    pub(super) fn start<B: Backend>(
        builder: &WorkerBuilder,
        opened: Vec<Opened<B>>,
        stop: &Stop,
    ) -> Result<Self, StartError> {
        WorkerBuilder::probe(opened.len())?;
        let start = |Opened { destination, backend }: Opened<B>| {
            let builder = builder.clone().for_destination(destination.clone(), worker_name);
            Ok((destination, builder.start_with(backend, stop.clone())?))
        };
        opened.into_iter().map(start).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn views(&self) -> Views {
        Views(self.0.iter().map(|(name, worker)| (name.clone(), worker.view())).collect())
    }

    /// Stops all workers at the same time. The report is the sum of theirs.
    pub(super) fn stop(self, deadline: Duration) -> StopReport {
        let begun = Instant::now();
        for (_, worker) in &self.0 {
            worker.begin_stop(deadline);
        }
        let stop = |worker: Worker| worker.stop(deadline.saturating_sub(begun.elapsed()));
        let reports = self.0.into_iter().map(|(_, worker)| stop(worker));
        reports.reduce(StopReport::and).unwrap_or_default()
    }
}

impl Views {
    /// Whether the broker has answered all workers.
    pub(super) fn are_answered(&self) -> bool {
        self.0.iter().all(|(_, view)| view.is_answered())
    }

    /// Why a worker cannot continue, if one cannot.
    pub(super) fn failure(&self) -> Option<String> {
        self.0.iter().find_map(|(_, view)| view.failure())
    }

    /// Why a worker makes no progress, if one does not.
    pub(super) fn stuck(&self) -> Option<&'static str> {
        self.0.iter().find_map(|(_, view)| view.stuck())
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAME, worker_name};

    #[test]
    fn each_destination_has_a_valid_name_of_its_own() {
        assert_eq!(worker_name("w", None), "w");
        assert_eq!(worker_name("w", Some("g-1.example.com:2003:a")), "w.g-1.example.com_2003_a");
        assert_eq!(worker_name("w", Some("[::1]:2003")), "w.___1__2003");
        let long =
            |end: &str| worker_name("zibrato-carbon", Some(&format!("{}:{end}", "h".repeat(90))));
        assert!(long("1").len() == MAX_NAME && long("1") != long("2"), "{}", long("1"));
    }
}
