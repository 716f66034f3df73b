//! `opentelemetry`: its SDK, with a reader and an exporter that drops everything.

use crate::measure::{Case, Who, looped, on_threads};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use std::hint::black_box;
use std::time::{Duration, Instant};

struct Dropping;

impl PushMetricExporter for Dropping {
    async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

pub fn cases() -> Vec<Case> {
    let provider =
        SdkMeterProvider::builder().with_reader(PeriodicReader::builder(Dropping).build()).build();
    let meter = provider.meter("benchmark");
    let counted = meter.u64_counter("opentelemetry.count").build();
    let bound = meter.u64_counter("opentelemetry.count.bound").build().bind(&[]);
    let timed = meter.f64_histogram("opentelemetry.time").build();
    let timed_bound = meter.f64_histogram("opentelemetry.time.bound").build().bind(&[]);
    let read = meter.f64_gauge("opentelemetry.gauge").build();
    let read_bound = meter.f64_gauge("opentelemetry.gauge.bound").build().bind(&[]);
    let named = meter.u64_counter("opentelemetry.handle").build();
    let (tagged, route) =
        (meter.u64_counter("opentelemetry.tags").build(), "/cart/items".to_owned());
    let threads = meter.u64_counter("opentelemetry.threads").build();
    let named_bound = meter.u64_counter("opentelemetry.handle.bound").build();
    let named_bound = named_bound.bind(&[KeyValue::new("name", "kept")]);
    let timed_shared = meter.f64_histogram("opentelemetry.time.threads").build().bind(&[]);
    let more_threads = meter.u64_counter("opentelemetry.threads.more").build().bind(&[]);
    let threads_bound = meter.u64_counter("opentelemetry.threads.bound").build().bind(&[]);
    let off = global::meter("nobody").u64_counter("opentelemetry.unwanted").build();
    let name = black_box("handle".to_owned());
    // It measures until it is dropped.
    std::mem::forget(provider);

    let case = |row, name, run| Case::new(row, Who::Peer(name), run);
    vec![
        case("count", "opentelemetry, bound", looped(move || bound.add(1))),
        case("count", "opentelemetry", looped(move || counted.add(1, &[]))),
        case(
            "time",
            "opentelemetry, bound",
            looped(move || {
                let begun = Instant::now();
                timed_bound.record(begun.elapsed().as_secs_f64());
            }),
        ),
        case(
            "time",
            "opentelemetry",
            looped(move || {
                let begun = Instant::now();
                timed.record(begun.elapsed().as_secs_f64(), &[]);
            }),
        ),
        case("gauge", "opentelemetry, bound", looped(move || read_bound.record(17.0))),
        case("gauge", "opentelemetry", looped(move || read.record(17.0, &[]))),
        case("unwanted", "opentelemetry, no provider", looped(move || off.add(1, &[]))),
        case("handle", "opentelemetry, bound", looped(move || named_bound.add(1))),
        case(
            "handle, looked up",
            "opentelemetry, attribute",
            looped(move || {
                named.add(1, &[KeyValue::new("name", black_box(&name).clone())]);
            }),
        ),
        case(
            "tags",
            "opentelemetry, attributes",
            looped(move || {
                let route = KeyValue::new("route", black_box(&route).clone());
                tagged.add(1, &[route, KeyValue::new("status", i64::from(black_box(200_u16)))]);
            }),
        ),
        case("count, 2 threads", "opentelemetry, bound", {
            on_threads(2, move || threads_bound.add(1))
        }),
        case("count, 2 threads", "opentelemetry", on_threads(2, move || threads.add(1, &[]))),
        case(
            "count, 4 threads",
            "opentelemetry, bound",
            on_threads(4, move || more_threads.add(1)),
        ),
        case("time, 2 threads", "opentelemetry, bound", {
            on_threads(2, move || {
                let begun = Instant::now();
                timed_shared.record(begun.elapsed().as_secs_f64());
            })
        }),
    ]
}
