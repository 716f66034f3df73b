//! `crate = path` says where zibrato is, when another crate passes it on.
mod facade {
    pub mod inner {
        pub use ::zibrato::*;
    }
}
use facade::inner::{annotate, annotate_me, count, count_me, gauge, time, time_me};
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

#[annotate_me(crate = facade::inner, stream = "jobs")]
fn annotated() {}

#[derive(facade::inner::TagValue)]
#[tag(crate = facade::inner)]
enum Method {
    Get,
}

struct Shop;

#[count_me(crate = facade::inner, tags(method = method))]
#[facade::inner::time_me(crate = facade::inner, name = "shop")]
impl Shop {
    fn open(&self, method: Method) -> usize {
        facade::inner::TagValue::index(&method)
    }
    #[facade::inner::time_me(skip)]
    #[facade::inner::count_me(crate = facade::inner)]
    fn close(&self, name: &str) -> usize {
        count!("info", name, tags(closed = true && name.is_empty()), crate = facade::inner);
        name.len()
    }
}

fn main() {
    drop((scoped(), scoped_future()));
    assert_eq!(Shop.open(Method::Get) + Shop.close("a"), 1);
    drop((sync(), future()));
    annotated();
    annotate!("info", "a", "b", crate = facade::inner);
    count!("info", "a", crate = facade::inner);
    gauge!("info", "a", 1, source = "b", crate = facade::inner);
    time!("info", "a", (), crate = facade::inner);
}
