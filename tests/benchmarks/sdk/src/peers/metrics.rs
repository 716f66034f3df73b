//! `metrics`, with the recorder of `metrics-exporter-prometheus`.

use crate::measure::{Case, Run, Who, looped, on_threads, time};
use metrics::{NoopRecorder, counter, gauge, histogram};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

pub fn cases() -> Result<Vec<Case>, Box<dyn Error>> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let (one, other, third) = (recorder.handle(), recorder.handle(), recorder.handle());
    metrics::set_global_recorder(recorder)?;

    let counted = counter!("metrics_count_handle");
    let (shared, timed_shared) = (counter!("metrics_threads"), histogram!("metrics_time_threads"));
    let more_threads = shared.clone();
    let timed = histogram!("metrics_time_handle");
    let read = gauge!("metrics_gauge_handle");
    let name = black_box("metrics_handle".to_owned());
    let (named, route) = (counter!(name.clone()), black_box("/cart/items".to_owned()));
    let case = |row, name, run| Case::new(row, Who::Peer(name), run);
    Ok(vec![
        case("count", "metrics, kept handle", looped(move || counted.increment(1))),
        case("count", "metrics, macro", looped(|| counter!("metrics_count").increment(1))),
        // Its readings accumulate until they are aggregated, which its exporter does every 5 s.
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
            Run::by(|times| {
                metrics::with_local_recorder(&NoopRecorder, || {
                    time(times, &|| counter!("metrics_unwanted").increment(1))
                })
            }),
        ),
        case("handle", "metrics, kept handle", looped(move || named.increment(1))),
        // The name must be an owned text.
        case(
            "handle, looked up",
            "metrics, macro",
            looped(move || {
                counter!(black_box(&name).clone()).increment(1);
            }),
        ),
        // Labels have to be texts of their own.
        case(
            "tags",
            "metrics, macro",
            looped(move || {
                let (route, status) = (black_box(&route).clone(), black_box(200_u16).to_string());
                counter!("metrics_tags", "route" => route, "status" => status).increment(1);
            }),
        ),
        case(
            "count, 2 threads",
            "metrics, kept handle",
            on_threads(2, move || shared.increment(1)),
        ),
        case("count, 4 threads", "metrics, kept handle", {
            on_threads(4, move || more_threads.increment(1))
        }),
        case("time, 2 threads", "metrics, kept handle", {
            on_threads(2, move || {
                let begun = Instant::now();
                timed_shared.record(begun.elapsed());
            })
        })
        .settle(move || third.run_upkeep()),
    ])
}
