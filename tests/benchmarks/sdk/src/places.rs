//! Many call sites in the program's text.

/// 256 functions, sixteen by sixteen: `$at!($prefix, $a, $b)` must expand to one.
macro_rules! places {
    ($at:ident $prefix:literal) => {
        [
            places!(@ $at $prefix "0"), places!(@ $at $prefix "1"), places!(@ $at $prefix "2"),
            places!(@ $at $prefix "3"), places!(@ $at $prefix "4"), places!(@ $at $prefix "5"),
            places!(@ $at $prefix "6"), places!(@ $at $prefix "7"), places!(@ $at $prefix "8"),
            places!(@ $at $prefix "9"), places!(@ $at $prefix "a"), places!(@ $at $prefix "b"),
            places!(@ $at $prefix "c"), places!(@ $at $prefix "d"), places!(@ $at $prefix "e"),
            places!(@ $at $prefix "f"),
        ]
    };
    (@ $at:ident $prefix:literal $a:literal) => {
        [
            $at!($prefix, $a, "0"), $at!($prefix, $a, "1"), $at!($prefix, $a, "2"),
            $at!($prefix, $a, "3"), $at!($prefix, $a, "4"), $at!($prefix, $a, "5"),
            $at!($prefix, $a, "6"), $at!($prefix, $a, "7"), $at!($prefix, $a, "8"),
            $at!($prefix, $a, "9"), $at!($prefix, $a, "a"), $at!($prefix, $a, "b"),
            $at!($prefix, $a, "c"), $at!($prefix, $a, "d"), $at!($prefix, $a, "e"),
            $at!($prefix, $a, "f"),
        ]
    };
}

macro_rules! counted {
    ($prefix:literal, $a:literal, $b:literal) => {
        (|| zibrato::count!("info", concat!("benchmark.", $prefix, ".", $a, $b))) as fn()
    };
}

macro_rules! timed {
    ($prefix:literal, $a:literal, $b:literal) => {
        (|| zibrato::time!("info", concat!("benchmark.", $prefix, ".", $a, $b), ())) as fn()
    };
}

pub(crate) use {counted, places};

/// One call site.
pub type Place = fn();

/// `number` call sites that count.
pub fn counters(number: usize) -> Vec<Place> {
    let all = [
        places!(counted "counter.0"),
        places!(counted "counter.1"),
        places!(counted "counter.2"),
        places!(counted "counter.3"),
    ];
    all.into_iter().flatten().flatten().take(number).collect()
}

/// `number` call sites that time.
pub fn timers(number: usize) -> Vec<Place> {
    let all = [places!(timed "timer.0"), places!(timed "timer.1")];
    all.into_iter().flatten().flatten().take(number).collect()
}
