//! The workers of a program: one for each destination.

use crate::backend::{Backend, Opened};
use crate::worker::{StartError, StopReport, View, Worker, WorkerBuilder};
use std::time::{Duration, Instant};
use zibrato::daemon::Stop;

/// The workers.
pub(super) struct Crew(Vec<(Option<String>, Worker)>);

/// The observable state of the workers, each with its destination if there are several.
#[derive(Debug, Clone)]
pub(super) struct Views(pub(super) Vec<(Option<String>, View)>);

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
            let builder = builder.clone().for_destination(destination.clone());
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
