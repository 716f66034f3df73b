//! `prometheus`: metrics in variables, registered in its default registry.

use crate::measure::{Case, Who, looped, on_threads};
use prometheus::{
    register_gauge, register_histogram, register_int_counter, register_int_counter_vec,
};
use std::hint::black_box;

pub fn cases() -> Result<Vec<Case>, prometheus::Error> {
    let counted = register_int_counter!("prometheus_count", "counted")?;
    let shared = register_int_counter!("prometheus_threads", "counted on two threads")?;
    let timed = register_histogram!("prometheus_time", "timed")?;
    let read = register_gauge!("prometheus_gauge", "read")?;
    let named = register_int_counter_vec!("prometheus_handle", "counted by name", &["name"])?;
    let name = black_box("handle".to_owned());
    let kept = named.with_label_values(&["kept"]);
    let (labels, route) = (["route", "status"], black_box("/cart/items".to_owned()));
    let tagged = register_int_counter_vec!("prometheus_tags", "counted by tags", &labels)?;
    let (more_threads, timed_shared) = (shared.clone(), timed.clone());
    let case = |row, name, run| Case::new(row, Who::Peer(name), run);
    Ok(vec![
        case("count", "prometheus, IntCounter", looped(move || counted.inc())),
        case(
            "time",
            "prometheus, start_timer",
            looped(move || {
                drop(black_box(timed.start_timer()));
            }),
        ),
        case("gauge", "prometheus, Gauge", looped(move || read.set(17.0))),
        case("handle", "prometheus, kept child", looped(move || kept.inc())),
        case(
            "handle, looked up",
            "prometheus, IntCounterVec",
            looped(move || {
                named.with_label_values(&[black_box(&name).as_str()]).inc();
            }),
        ),
        // Both values are texts already, which spares it the formatting of the number.
        case(
            "tags",
            "prometheus, IntCounterVec",
            looped(move || {
                tagged.with_label_values(&[black_box(&*route), black_box("200")]).inc();
            }),
        ),
        case("count, 2 threads", "prometheus, IntCounter", on_threads(2, move || shared.inc())),
        case("count, 4 threads", "prometheus, IntCounter", {
            on_threads(4, move || more_threads.inc())
        }),
        case("time, 2 threads", "prometheus, start_timer", {
            on_threads(2, move || drop(black_box(timed_shared.start_timer())))
        }),
    ])
}
