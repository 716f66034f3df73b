//! What the batches of an intake contain.

use anyhow::bail;
use zibrato::DEFAULT_SOURCE;
use zibrato::window::Window;
use zibrato::wire::{BatchReader, Value};

/// A reading of a gauge.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// Empty if there is none.
    pub(crate) host: String,
    pub(crate) name: String,
    pub(crate) value: f64,
    /// In Unix seconds.
    pub(crate) time: f64,
}

/// The last reading of each gauge.
pub(crate) fn samples(bodies: &[Vec<u8>]) -> anyhow::Result<Vec<Sample>> {
    let mut all = Vec::new();
    for body in bodies {
        let batch = BatchReader::new(body)?;
        let host = if batch.source() == DEFAULT_SOURCE { "" } else { batch.source() };
        for entry in batch.entries() {
            let entry = entry?;
            let Value::Gauge(gauge) = entry.value else { bail!("{entry:?} is not a gauge") };
            all.push(Sample {
                host: host.to_owned(),
                name: entry.name.to_owned(),
                value: gauge.last,
                time: gauge.at_ms as f64 / 1e3,
            });
        }
    }
    Ok(all)
}

/// A window with these batches.
pub(crate) fn window(bodies: &[Vec<u8>]) -> anyhow::Result<Window> {
    let mut window = Window::new(0, 10_000, 10_000);
    let mut refused = None;
    for body in bodies {
        window.fold_batch(&BatchReader::new(body)?, |error| refused = Some(error));
    }
    match refused {
        Some(error) => bail!(error),
        None => Ok(window),
    }
}
