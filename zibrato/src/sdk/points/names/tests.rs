//! Series that are not used make room, and none of their readings is lost.

use super::{IDLE_LOOKS, Limit, Named, Place, Registry};
use crate::measurement::{Kind, Level, Name, Source, Tags};
use crate::sdk::cells::amount::Number;
use crate::sdk::points::idle::Take;
use crate::sdk::points::key::Key;
use crate::sdk::points::series::{Loss, Series, Shape};
use std::sync::Arc;

fn find(registry: &Registry, name: &str) -> Result<Arc<Named>, Loss> {
    let mut key = Key::new(u64::MAX);
    key.text(name);
    let place =
        Place { shape: Shape::Counter, site: 8, has_source: true, limit: Limit::of_site(2) };
    registry.find_or_make(&key, place, || {
        let series = Series {
            level: Level::new("info").unwrap(),
            source: Source::default(),
            name: Name::new(name).unwrap(),
            kind: Kind::Counter,
            tags: Tags::NONE,
            unit: None,
        };
        Ok((series, false))
    })
}

fn count(named: &Named) {
    named.point.shared().add(Number::Whole(1));
}

/// How many readings are taken.
fn collect(registry: &Registry) -> u64 {
    let mut readings = 0;
    registry.collect(|_| Take::New, |_, taken| readings += taken.readings);
    readings
}

fn look(registry: &Registry, times: u32) {
    (0..times).for_each(|_| registry.let_go());
}

#[test]
fn a_series_that_is_not_used_makes_room_and_is_collected_while_somebody_has_it() {
    let registry = Registry::new(u64::MAX);
    let (held, used) = (find(&registry, "held").unwrap(), find(&registry, "used").unwrap());
    count(&held);
    count(&used);
    assert_eq!(find(&registry, "third").unwrap_err(), Loss::TooManyNames);
    // The first check sees the reading.
    look(&registry, IDLE_LOOKS);
    assert!(held.is_current());
    count(&used);
    look(&registry, 1);
    assert!(!held.is_current() && used.is_current());

    // There is room for another one, and the name itself gives another series.
    drop(find(&registry, "third").unwrap());
    let others = [find(&registry, "used").unwrap(), find(&registry, "third").unwrap()];
    assert!(Arc::ptr_eq(&others[0], &used));
    assert_eq!(find(&registry, "held").unwrap_err(), Loss::TooManyNames);

    // Whoever has it may still count.
    count(&held);
    assert_eq!((collect(&registry), registry.made()), (4, 4));
    count(&held);
    drop(held);
    assert_eq!((collect(&registry), registry.made()), (1, 5));
    assert!(registry.read().leaving.is_empty(), "nobody has it, and all of it is collected");
    assert_eq!((collect(&registry), registry.made()), (0, 5));
}
