//! A backend that draws a table on the terminal at each flush.
//!
//! It also adds up everything that it receives, so that the totals can be compared with the true
//! ones.

use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zibrato::Summary;
use zibrato::window::{Fold, Window};
use zibrato_workers::rows::{Rows, Table};
use zibrato_workers::{Backend, Payload, SendError};

/// Maximum number of series, which is far above what the work has.
const MAX_SERIES: usize = 10_000;

/// Everything that was received.
#[derive(Debug)]
pub(crate) struct Totals {
    all: Window,
    rows: Rows,
    /// Number of windows that were not empty.
    pub(crate) windows: usize,
}

/// Draws a table at each flush, unless it is silent.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    totals: Arc<Mutex<Totals>>,
    output: Output,
}

/// The output for the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Nowhere,
    Stdout,
}

impl Console {
    pub(crate) fn new(output: Output) -> Self {
        let totals = Totals { all: Window::new(0, 1, MAX_SERIES), rows: Rows::new(), windows: 0 };
        Self { totals: Arc::new(Mutex::new(totals)), output }
    }

    pub(crate) fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Console {
    fn payloads(&mut self, window: Window) -> Vec<Payload> {
        let mut totals = self.totals();
        totals.windows += usize::from(!window.series().is_empty());
        totals.add(&window);
        let table = Table::of_window(&window).text(&totals.rows.add(&window));
        vec![Payload::new(format!("\n{table}").into_bytes(), window.series().len())]
    }

    fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
        if self.output == Output::Nowhere {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        match stdout.write_all(&payload.body).and_then(|()| stdout.flush()) {
            // A reader that has closed stdout, such as `head`, has read enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(SendError::Reject { why: error.into() })
            }
            _ => Ok(()),
        }
    }
}

impl Totals {
    fn add(&mut self, window: &Window) {
        for series in window.series() {
            let tags = series.tags.iter().map(|(tag, value)| (&**tag, &**value));
            let tags: Vec<_> = tags.collect();
            self.all.fold_series(&series.source, &series.name, &tags, &series.value);
        }
    }

    /// The names and sums of all counters.
    pub(crate) fn counters(&self) -> impl Iterator<Item = (&str, f64)> {
        self.all.series().iter().filter_map(|series| match series.value {
            Fold::Counter(sum) => Some((&*series.name, sum)),
            _ => None,
        })
    }

    /// The readings of a timer.
    pub(crate) fn timer(&self, name: &str) -> Option<&Summary> {
        self.all.series().iter().find(|series| *series.name == *name)?.value.summary()
    }

    /// The last table: everything since the start.
    pub(crate) fn table(&self, seconds: f64) -> String {
        let rows = self.rows.of_all(self.all.series(), seconds);
        format!("\n{}", Table::new(format!("total, {seconds:.1} s")).text(&rows))
    }
}
