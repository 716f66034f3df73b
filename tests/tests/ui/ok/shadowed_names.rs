//! The user's code may call its own things whatever it likes.
#![deny(warnings)]
#![allow(dead_code, non_camel_case_types, unused_macros, unused_imports)]

mod core {}
mod std {}
mod zibrato {}
struct Ok;
struct Err;
struct Some;
struct None;
struct Option;
struct Result;
struct Box;
struct Future;
struct u64;
struct str;
struct bool;
struct On;
struct Site;
const SITE: u8 = 3;
fn drop() {}
struct Scope;
struct Outcomes;
struct Pin;
struct f64;
trait Failed: ::std::marker::Sized {
    fn failed(self) -> ::std::primitive::bool {
        ::std::panic!("the user's own")
    }
    fn is_err(self) -> ::std::primitive::bool {
        ::std::panic!("the user's own")
    }
}
impl<T> Failed for T {}
macro_rules! module_path { () => { compile_error!("the user's own") } }
macro_rules! compile_error { () => {} }
macro_rules! pin { () => { compile_error!("the user's own") } }

#[::zibrato::count_me(on = "err", value = SITE)]
#[::zibrato::time_me]
fn sync(__zibrato_time: u8) -> ::std::result::Result<u8, Err> {
    let __zibrato_scope = __zibrato_time;
    ::std::result::Result::Ok(__zibrato_scope)
}

#[::zibrato::time_me]
#[::zibrato::count_me(on = "ok", value = SITE)]
async fn future(__zibrato_result: u8) -> ::std::option::Option<u8> {
    ::std::option::Option::Some(__zibrato_result)
}

#[::zibrato::histogram_me(value = |n| *n, tags(size = __zibrato_value))]
#[::zibrato::histogram_me(value = |n| *n, tags(size = |n| *n))]
#[::zibrato::histogram_me(value = __zibrato_value)]
#[::zibrato::histogram_me(value = |n| *n)]
fn sized(__zibrato_value: u8) -> u8 {
    let __zibrato_tags = __zibrato_value;
    __zibrato_tags
}

#[::zibrato::time_me(outcomes, in_flight, slow("1s"))]
#[::zibrato::count_me(err, in_flight, value = SITE)]
fn scoped(__zibrato_time: u8, __zibrato_in_flight: u8) -> ::std::result::Result<u8, Err> {
    let __zibrato_scope = __zibrato_time;
    let __zibrato_result = __zibrato_in_flight;
    let __zibrato_body = 1;
    ::std::result::Result::Ok(__zibrato_scope + __zibrato_result + __zibrato_body)
}

#[::zibrato::count_me(outcomes)]
fn never_fails() -> u8 {
    1
}

#[::zibrato::count_me(outcomes, polls)]
#[::zibrato::time_me(busy, polls, in_flight, err, name = NAME)]
async fn scoped_future(
    __zibrato_scope: u8,
    __zibrato_body: u8,
    __zibrato_context: u8,
    __zibrato_in_flight: u8,
) -> ::std::option::Option<u8> {
    let __zibrato_result = __zibrato_scope + __zibrato_body;
    let __zibrato_never = __zibrato_context + __zibrato_in_flight;
    ::std::option::Option::Some(__zibrato_result + __zibrato_never)
}
const NAME: &::std::primitive::str = "name";
const __ZIBRATO_NAME: u8 = 1;
const __ZIBRATO_JOINED: u8 = 1;

#[::zibrato::time_me(sample = 2)]
#[::zibrato::count_me]
#[::zibrato::count_me]
#[::zibrato::time_me]
#[::zibrato::time_me]
fn twice() {}

#[derive(::zibrato::TagValue)]
enum Method {
    Ok,
    None,
}

#[::zibrato::count_me(tags(method = __zibrato_like), name = __zibrato_name)]
#[::zibrato::time_me(tags(method = __zibrato_like), name = { ::std::format!("{__zibrato_name}") })]
fn named(__zibrato_like: Method, __zibrato_name: &::std::primitive::str) {}

struct Shop;

#[::zibrato::count_me]
#[::zibrato::time_me(tags(ok = ok))]
impl Shop {
    fn open(ok: ::std::primitive::bool) {}
    #[::zibrato::time_me(skip)]
    const fn most() {}
    #[::zibrato::time_me]
    #[::zibrato::count_me(skip)]
    fn close(&self) {}
}

#[::zibrato::annotate_me(stream = "jobs", title = "{__zibrato_draft}", tags(site = __zibrato_site))]
fn annotated(__zibrato_draft: u8, __zibrato_site: u8) -> u8 {
    __zibrato_draft + __zibrato_site
}

#[::zibrato::count_me]
mod yard {
    pub fn open() {}
}

fn main() {
    named(Method::Ok, "a");
    ::std::mem::drop((scoped(1, 2), never_fails()));
    named(Method::None, "b");
    Shop::open(true);
    Shop.close();
    yard::open();
    ::zibrato::count!("info", "a", tags(method = Method::Ok, region = "eu"));
    ::zibrato::count!("info", "a", SITE);
    ::zibrato::gauge!("info", "a", SITE);
    let value: u8 = ::zibrato::time!("info", "a", { ::zibrato::time!("info", "b", SITE) });
    let guard = ::zibrato::time!("info", "a");
    ::std::mem::drop((sync(value), future(value), scoped(1, 2), scoped_future(1, 2, 3, 4), guard));
    twice();
    let __zibrato_draft = annotated(1, 2);
    ::zibrato::annotate!("info", "a", "{__zibrato_draft} {}", SITE, description = __zibrato_draft);
}
