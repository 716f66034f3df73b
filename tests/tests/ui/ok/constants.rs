//! Texts may be constants and `concat!(..)`, also through the fragments of a `macro_rules!`.
use zibrato::{count, count_me, gauge, time, time_me};

const LEVEL: &str = "billing";
mod names {
    pub const PAID: &str = "paid";
}

#[count_me(level = LEVEL, name = names::PAID, source = concat!("web", "-", 1))]
#[time_me(level = LEVEL, name = self::names::PAID, source = module_path!(),)]
fn constants() {}

#[time_me(name = names::PAID, err(level = LEVEL), slow("1s", level = LEVEL), in_flight)]
#[count_me(name = concat!("a", ".b"), in_flight)]
fn scoped() -> Result<(), ()> {
    Err(())
}

macro_rules! measured {
    ($level:literal, $name:expr, $value:expr, $body:block, $output:ty) => {
        #[count_me(level = $level, name = $name, value = $value, on = "err")]
        #[time_me(level = $level, name = $name)]
        fn from_fragments() -> $output $body
    };
}
measured!("info", "fragments", 2, { Ok(()) }, Result<(), ()>);

macro_rules! item {
    ($item:item) => {
        #[count_me]
        #[time_me]
        $item
    };
}
item! { pub fn whole() {} }

macro_rules! counted {
    ($level:expr, $name:literal) => {
        count!($level, $name)
    };
}

fn main() {
    let capture = zibrato::testing::capture();
    constants();
    assert_eq!(from_fragments(), Ok(()));
    whole();
    assert_eq!(scoped(), Err(()));
    assert_eq!(capture.timer("billing", "paid").len(), 2);
    assert_eq!(capture.gauge("info", "paid.in_flight").len(), 2);
    assert_eq!(capture.gauge("info", "a.b.in_flight").len(), 2);
    counted!("info", "fragment");
    count!(LEVEL, names::PAID, 2,);
    gauge!("info", stringify!(depth), 1, source = names::PAID);
    time!("info", concat!("a", ".b"), ());
    assert_eq!(capture.counter("billing", "paid"), 3.0);
    assert_eq!(capture.counter("info", "fragment"), 1.0);
    assert_eq!(capture.gauge("info", "depth"), [1.0]);
    assert_eq!(capture.timer("info", "a.b").len(), 1);
}
