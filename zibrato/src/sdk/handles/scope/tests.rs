//! What is slow, to the last bit.

use super::{Clock, Ending, Moment, Recording, Site, Slow, Timed};
use crate::sdk::Metadata;

const fn place(level: &'static str) -> Metadata {
    Metadata { level, name: Some("q"), module: "m", function: "f", source: None, tags: &[] }
}

static SITE: Site = Site::timer(place("info"));
static SLOW: Site = Site::timer(place("warn"));

#[test]
fn a_call_that_takes_exactly_so_long_is_slow() {
    let took = Moment::now().elapsed();
    for (seconds, expected) in [(took.seconds(), 1), (took.seconds().next_up(), 0)] {
        let capture = crate::testing::capture();
        let slow = Some(Slow { site: &SLOW, seconds });
        let clock = Some(Clock::Busy { before: took, since: None });
        Timed { sites: &SITE, slow, clock }.end(Ending::Ok);
        assert_eq!(capture.timer("info", "q"), [took.seconds()]);
        assert_eq!(capture.timer("warn", "q").len(), expected, "{seconds}");
    }
}
