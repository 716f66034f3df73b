//! What measuring does while captures and installations begin and end.

use super::{Instrument, Origin, Point, Series, Shape, count};
use crate::sdk::points::capture::{Capture, capture};
use crate::{Kind, Level, Name, Source, Tags};
use std::cell::RefCell;
use std::sync::Arc;

/// A capture begins while it asks whether it is wanted.
struct Late {
    point: Point,
}

static LATE: Late = Late { point: Point::new(Shape::Counter) };

thread_local! {
    static CAPTURE: RefCell<Option<Capture>> = const { RefCell::new(None) };
}

impl Origin for &'static Late {
    fn point(self) -> &'static Point {
        &self.point
    }

    fn instrument(self) -> Option<Arc<Instrument>> {
        None
    }

    fn wanted_by(self, _: Option<&Instrument>) -> Option<bool> {
        Some(false)
    }

    fn series(self) -> Option<Series> {
        let (level, name) = (Level::new("info").ok()?, Name::new("late").ok()?);
        let (source, tags) = (Source::default(), Tags::NONE);
        Some(Series { level, source, name, kind: Kind::Counter, tags, unit: None })
    }

    fn begin(self) {
        CAPTURE.with_borrow_mut(|current| {
            current.get_or_insert_with(capture);
        });
    }
}

#[test]
fn a_gate_that_is_asked_while_a_capture_begins_stays_as_it_is() {
    count(&LATE, 1_u64);
    count(&LATE, 2_u64);
    let captured = CAPTURE.take().unwrap().measurements();
    assert_eq!(captured.iter().map(|m| m.value).collect::<Vec<_>>(), [2.0]);
}
