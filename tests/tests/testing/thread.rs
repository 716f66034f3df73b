//! The first example of `docs/testing.md`: code that runs on the thread of the test.

use zibrato::testing::{assert_counted, assert_gauge, assert_timed, capture};
use zibrato::{count_me, gauge, time_me};

#[count_me(name = "orders", tags(customer = customer))]
#[time_me(name = "orders.time", outcomes)]
fn order(customer: &str, items: &[u32]) -> Result<u32, &'static str> {
    gauge!("info", "basket", items.len());
    items.first().copied().ok_or("nothing ordered")
}

#[test]
fn orders_are_counted_by_customer_and_timed_by_outcome() {
    let capture = capture();

    order("acme", &[7, 9]).unwrap();
    order("acme", &[]).unwrap_err();

    assert_counted!(capture, "orders", 2);
    assert_counted!(capture, "orders", tags(customer = "acme"), 2);
    assert_gauge!(capture, "basket", 0);
    assert_timed!(capture, "orders.time", tags(outcome = "err"), 1);

    // The same without macros, for other checks.
    assert_eq!(capture.gauge("info", "basket"), [2.0, 0.0]);
    assert!(capture.timer("info", "orders.time").iter().all(|seconds| *seconds < 60.0));
    assert!(!capture.has("info", "refunds"));
}
