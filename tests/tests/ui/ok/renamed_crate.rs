//! `crate = path` says where zibrato is, when another crate passes it on.
mod facade {
    pub mod inner {
        pub use ::zibrato::*;
    }
}
use facade::inner::{count, count_me, gauge, time, time_me};
mod zibrato {}

#[count_me(crate = facade::inner, on = "err")]
#[time_me(crate = crate::facade::inner)]
fn sync() -> Result<(), ()> {
    Ok(())
}

#[count_me(crate = ::zibrato)]
async fn future() {}

#[count_me(crate = facade::inner, outcomes, in_flight)]
#[time_me(crate = facade::inner, err, slow("1s"))]
fn scoped() -> Result<(), ()> {
    Ok(())
}

#[time_me(crate = facade::inner, busy, polls, name = NAME)]
async fn scoped_future() {}
const NAME: &str = "name";

fn main() {
    drop((scoped(), scoped_future()));
    drop((sync(), future()));
    count!("info", "a", crate = facade::inner);
    gauge!("info", "a", 1, source = "b", crate = facade::inner);
    time!("info", "a", (), crate = facade::inner);
}
