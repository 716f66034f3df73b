//! An example of `docs/testing.md`: the threads of rayon.

use rayon::prelude::*;
use zibrato::count;
use zibrato::testing::{assert_counted, capture, capture_process};

fn weight(parcels: &[u32]) -> u32 {
    let weigh = |parcel: &u32| {
        count!("info", "parcels.weighed");
        *parcel
    };
    parcels.par_iter().map(weigh).sum()
}

// The code under test uses the pool.
#[test]
fn every_parcel_is_weighed_once() {
    let capture = capture_process();
    assert_eq!(weight(&[1, 2, 3]), 6);
    assert_counted!(capture, "parcels.weighed", 3);
}

// The test uses the pool itself. Other tests are not affected.
#[test]
fn a_job_of_the_test_is_attached() {
    let capture = capture();
    [1, 2, 3].par_iter().for_each(|parcel| {
        let _attached = capture.attach();
        count!("info", "parcels.packed", *parcel);
    });
    assert_counted!(capture, "parcels.packed", 6);
}
