//! `metrics`, with the recorder of `metrics-exporter-prometheus`.

use crate::measure::{Case, Who, looped, on_two_threads, time};
use metrics::{NoopRecorder, counter, gauge, histogram};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

pub fn cases() -> Result<Vec<Case>, Box<dyn Error>> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let (one, other) = (recorder.handle(), recorder.handle());
    metrics::set_global_recorder(recorder)?;

    let counted = counter!("metrics_count_handle");
    let on_threads = counter!("metrics_threads_handle");
    let timed = histogram!("metrics_time_handle");
    let read = gauge!("metrics_gauge_handle");
    let name = black_box("metrics_handle".to_owned());
    let case = |row, name, run| Case::new(row, Who::Peer(name), run);
    Ok(vec![
        case("count", "metrics, kept handle", looped(move || counted.increment(1))),
        case("count", "metrics, macro", looped(|| counter!("metrics_count").increment(1))),
        // Its readings gather until somebody folds them, which its exporter does every 5 s.
        case(
            "time",
            "metrics, kept handle",
            looped(move || {
                let begun = Instant::now();
                timed.record(begun.elapsed());
            }),
        )
        .settle(move || one.run_upkeep()),
        case(
            "time",
            "metrics, macro",
            looped(|| {
                let begun = Instant::now();
                histogram!("metrics_time").record(begun.elapsed());
            }),
        )
        .settle(move || other.run_upkeep()),
        case("gauge", "metrics, kept handle", looped(move || read.set(17.0))),
        case("gauge", "metrics, macro", looped(|| gauge!("metrics_gauge").set(17.0))),
        case(
            "unwanted",
            "metrics, no-op recorder",
            Box::new(|times| {
                metrics::with_local_recorder(&NoopRecorder, || {
                    time(times, &|| counter!("metrics_unwanted").increment(1))
                })
            }),
        ),
        // The name has to be a text of its own.
        case(
            "handle",
            "metrics, macro",
            looped(move || {
                counter!(black_box(&name).clone()).increment(1);
            }),
        ),
        case("count, 2 threads", "metrics, kept handle", {
            on_two_threads(move || on_threads.increment(1))
        }),
        case("count, 2 threads", "metrics, macro", {
            on_two_threads(|| counter!("metrics_threads").increment(1))
        }),
    ])
}
