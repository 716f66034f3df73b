//! Nothing the macros add is looked up in the prelude.
#![no_implicit_prelude]
#![deny(warnings)]

#[::zibrato::count_me(on = "err")]
#[::zibrato::time_me(level = "debug", name = "a", source = "b")]
fn sync() -> ::std::result::Result<u8, ()> {
    ::std::result::Result::Ok(1)
}

#[::zibrato::count_me(on = "ok")]
#[::zibrato::time_me]
#[::zibrato::count_me]
async fn future() -> ::std::option::Option<u8> {
    ::std::option::Option::Some(1)
}

#[::zibrato::count_me(err(level = "error"), in_flight)]
#[::zibrato::time_me(outcomes, slow("1s"))]
fn scoped() -> ::std::option::Option<u8> {
    ::std::option::Option::Some(1)
}

#[::zibrato::time_me(ok, busy, polls)]
async fn scoped_future() {}

#[derive(::zibrato::TagValue)]
enum Method {
    Get,
}

#[::zibrato::count_me(tags(method = method), name = name)]
fn named(method: Method, name: &str) {}

#[::zibrato::annotate_me(stream = "jobs", title = "{name}", link = name)]
fn annotated(name: &str) {}

#[::zibrato::time_me]
#[::zibrato::count_me(on = "err")]
trait Shop {
    fn open(&self) -> ::std::result::Result<(), ()> {
        ::std::result::Result::Ok(())
    }
}

fn main() {
    ::std::mem::drop((scoped(), scoped_future()));
    named(Method::Get, "a");
    annotated("a");
    ::zibrato::annotate!("info", "a", "{}", 1, tags(n = 1 + 1));
    ::zibrato::count!("info", "a");
    ::zibrato::gauge!("info", "a", 1);
    let guard = ::zibrato::time!("info", "a");
    ::std::assert_eq!(::zibrato::time!("info", "a", sync()), ::std::result::Result::Ok(1));
    ::std::mem::drop(guard);
    ::std::mem::drop(future());
}
