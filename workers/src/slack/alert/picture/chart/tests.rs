//! Tests of the chart: what is drawn where, and that nothing makes it fail.

use super::{BEYOND, CURVE, Chart, HEIGHT, LIMIT, Limit, WIDTH};
use proptest::prelude::*;
use tiny_skia::Pixmap;

fn chart(values: &[Option<f64>], limit: Option<Limit>) -> Chart<'_> {
    Chart { title: "queue", subtitle: "db-2", values, limit, from: "12:00", to: "12:24 UTC" }
}

fn drawn(values: &[Option<f64>], limit: Option<Limit>) -> Pixmap {
    let png = chart(values, limit).png(|value| value.to_string()).unwrap();
    Pixmap::decode_png(&png).unwrap()
}

/// The rows, from above, in which a colour stands.
fn rows(picture: &Pixmap, (red, green, blue): (u8, u8, u8)) -> Vec<u32> {
    let is = |x, y| {
        let pixel = picture.pixel(x, y).unwrap();
        (pixel.red(), pixel.green(), pixel.blue()) == (red, green, blue)
    };
    (96..350).filter(|y| (0..WIDTH).any(|x| is(x, *y))).collect()
}

#[test]
fn the_curve_crosses_the_threshold_into_the_area_beyond() {
    let values: Vec<_> = (0..24).map(|i| Some(f64::from(i))).collect();
    let picture = drawn(&values, Some(Limit::Above(12.0)));
    assert_eq!((picture.width(), picture.height()), (WIDTH, HEIGHT));
    let (curve, limit, beyond) =
        (rows(&picture, CURVE), rows(&picture, LIMIT), rows(&picture, BEYOND));
    let middle = *limit.last().unwrap();
    assert!(curve[0] < middle && *curve.last().unwrap() > middle, "{curve:?} {limit:?}");
    assert!(beyond.iter().all(|y| *y <= middle) && beyond.len() > 50, "{beyond:?}");
    let below = drawn(&values, Some(Limit::Below(12.0)));
    assert!(rows(&below, BEYOND).iter().all(|y| *y + 4 >= middle));
}

#[test]
fn silence_at_the_end_is_marked_if_there_is_no_threshold() {
    let picture = drawn(&[Some(1.0), Some(2.0), None, None], None);
    assert!(rows(&picture, BEYOND).len() > 200);
    assert!(rows(&drawn(&[Some(1.0), Some(2.0)], None), BEYOND).is_empty());
}

#[test]
fn a_single_value_and_one_between_gaps_are_points() {
    for values in [&[Some(7.0)][..], &[Some(7.0), None, Some(7.0), None, Some(7.0)]] {
        assert!(!rows(&drawn(values, None), CURVE).is_empty());
    }
}

#[test]
fn scales_have_round_numbers() {
    for (values, ticks) in [
        (&[0.21, 0.612][..], &[0.0, 0.2, 0.4, 0.6][..]),
        (&[3.0, 6.0], &[0.0, 2.0, 4.0, 6.0]),
        (&[0.0, 0.0], &[0.0, 0.25, 0.5, 0.75, 1.0]),
        (&[-50.0, 50.0], &[-50.0, 0.0, 50.0]),
    ] {
        let values: Vec<_> = values.iter().copied().map(Some).collect();
        let found = chart(&values, None).ticks();
        let is_same = found.iter().zip(ticks).all(|(a, b): (&f64, &f64)| (a - b).abs() < 1e-9);
        assert!(found.len() == ticks.len() && is_same, "{found:?} {ticks:?}");
    }
}

#[test]
fn the_font_has_the_letters_and_a_box_for_others() {
    let letters = super::Letters::new().unwrap();
    for letter in ('!'..='~').chain("µ·…äöüßéЖжΩ→≥".chars()) {
        assert!(letters.outline(&letter.to_string(), 0.0, 0.0, 30.0).is_some(), "{letter}");
    }
    assert!(letters.outline("日", 0.0, 0.0, 30.0).is_some());
    assert!(letters.outline(" ", 0.0, 0.0, 30.0).is_none());
    let long = "a".repeat(300);
    let fitted = letters.fitting(&long, 30.0, 200.0);
    assert!(fitted.contains('…') && letters.width(&fitted, 30.0) <= 200.0, "{fitted}");
    assert_eq!(letters.fitting("short", 30.0, 200.0), "short");
    assert_eq!(letters.fitting(&long, 30.0, 0.0), "");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn nothing_makes_it_fail(
        values in prop::collection::vec(prop::option::of(any::<f64>()), 0..24),
        limit in prop::option::of(-1e308_f64..1e308),
    ) {
        let limit = limit.map(Limit::Above);
        prop_assert!(chart(&values, limit).png(|value| value.to_string()).is_some());
    }
}
