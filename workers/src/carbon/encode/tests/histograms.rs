//! The lines of histograms, with and without units.

use super::{fold, text, window};
use crate::carbon::encode::Encoder;
use zibrato::wire::BatchWriter;

#[test]
fn a_histogram_has_the_parts_of_a_timer_in_its_own_unit() {
    let mut window = window(&["info|h|balance|-3|1|web-1", "info|h|balance|1e308|1|web-1"]);
    let mut batch = BatchWriter::new("web-1", 0, 1000);
    batch.histogram_readings("size", &[("r", "a")], Some("bytes"), &[512.0, 1536.0]);
    fold(&mut window, batch);
    let timer_parts = "count,sum,min,p50,max".parse().unwrap();
    let mut encoder = Encoder { timer_parts, ..Encoder::default() };
    assert_eq!(
        text(&encoder.encode(window).payloads),
        "web-1.balance.count 2 1700000040\n\
         web-1.balance.sum 1e308 1700000040\n\
         web-1.balance.min -3 1700000040\n\
         web-1.balance.p50 -3 1700000040\n\
         web-1.balance.max 1e308 1700000040\n\
         web-1.size.count;r=a 2 1700000040\n\
         web-1.size.sum;r=a 2048 1700000040\n\
         web-1.size.min;r=a 512 1700000040\n\
         web-1.size.p50;r=a 516 1700000040\n\
         web-1.size.max;r=a 1536 1700000040\n"
    );
}

#[test]
fn histograms_in_two_units_get_distinct_names() {
    let with = |units: &[Option<&str>]| {
        let mut window = window(&[]);
        for unit in units {
            let mut batch = BatchWriter::new("web-1", 0, 1000);
            batch.histogram_readings("size", &[], *unit, &[2.0]);
            fold(&mut window, batch);
        }
        window
    };
    let timer_parts = "sum".parse().unwrap();
    let mut encoder = Encoder { timer_parts, ..Encoder::default() };
    let mut names = |units: &[Option<&str>]| {
        let encoded = encoder.encode(with(units));
        let lines = text(&encoded.payloads);
        let names = lines.lines().map(|line| line.split(' ').next().unwrap().to_owned());
        (names.collect::<Vec<_>>(), format!("{:?}", encoded.alike))
    };
    let (first, _) = names(&[Some("bytes")]);
    assert_eq!(first, ["web-1.size.sum"]);
    let (both, alike) = names(&[Some("bytes"), Some("ms")]);
    assert_eq!((both.len(), &*both[0]), (2, "web-1.size.sum"));
    assert!(both[1].starts_with("web-1.size_"), "{both:?}");
    assert!(alike.contains("size in bytes of web-1") && alike.contains("size in ms of web-1"));
    // The name stays with its owner.
    assert_eq!(names(&[Some("ms")]).0, both[1..]);
}

#[test]
fn a_histogram_beside_a_timer_and_a_counter_of_the_same_name_is_kept_apart() {
    let lines = ["info|c|n|1|1|", "info|h|n|2|1|", "info|t|n|3|1|", "info|c|n.sum|4|1|"];
    let timer_parts = "sum".parse().unwrap();
    let mut encoder = Encoder { timer_parts, ..Encoder::default() };
    assert_eq!(
        text(&encoder.encode(window(&lines)).payloads),
        "n 1 1700000040\n\
         n.histogram.sum 2 1700000040\n\
         n.timer.sum 3 1700000040\n\
         n.sum.counter 4 1700000040\n"
    );
}
