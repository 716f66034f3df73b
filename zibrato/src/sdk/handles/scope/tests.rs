//! What is slow, to the last bit.

use super::{Clock, Ending, Moment, Recording, Site, Slow, Timed, every, ticks};
use crate::sdk::{Metadata, Shape};

const fn place(level: &'static str) -> Metadata {
    Metadata { level, name: Some("q"), module: "m", function: "f", source: None, tags: &[] }
}

static SITE: Site = Site::new(Shape::Timer, place("info"));
static SLOW: Site = Site::new(Shape::Timer, place("warn"));

#[test]
fn a_call_that_takes_exactly_so_long_is_slow() {
    let took = Moment::now().elapsed();
    let exact = ticks::seconds(took);
    for (seconds, expected) in [(exact, 1), (exact.next_up(), 0)] {
        let capture = crate::testing::capture();
        let slow = Some(Slow { site: &SLOW, seconds });
        let clock = Some(Clock::Busy { before: took, since: None });
        Timed { places: every(&SITE), slow, clock }.end(Ending::Ok);
        assert_eq!(capture.timer("info", "q"), [exact]);
        crate::assert_timed!(capture, "q", level = "warn", expected);
    }
}
