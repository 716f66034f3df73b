//! Annotations, which are counted in the series of their stream.

use super::names::{carbon, lines};
use super::{START, encode, fold, window};
use zibrato::window::Window;
use zibrato::wire::BatchWriter;
use zibrato::{Annotation, DEFAULT_SOURCE};

fn annotated() -> Window {
    let mut window = window(&["i|c|annotations.deploys|5|1|web-1", "i|c|logins|3|1|web-1"]);
    for (source, stream, times) in
        [("web-1", "deploys", 2), ("web-2", "deploys", 1), (DEFAULT_SOURCE, "panics", 3)]
    {
        let mut batch = BatchWriter::new(source, START, 1_000);
        let annotation = Annotation::new(stream, "it happened", 5).unwrap();
        (0..times).for_each(|_| batch.annotation(&annotation));
        fold(&mut window, batch);
    }
    window
}

#[test]
fn annotations_are_a_counter_of_their_stream_and_source() {
    assert_eq!(
        encode(annotated()),
        "annotations.panics 3 1700000040\n\
         web-1.annotations.deploys 7 1700000040\n\
         web-1.logins 3 1700000040\n\
         web-2.annotations.deploys 1 1700000040\n"
    );
}

#[test]
fn they_have_the_names_of_a_counter_in_every_set_of_names() {
    let mut statsd = carbon("--names statsd-legacy").unwrap();
    assert!(
        lines(&mut statsd, annotated()).contains(&"stats_counts.annotations.deploys 8".to_owned())
    );
}
