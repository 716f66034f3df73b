//! Tags that are known only at run time, at the beginning of a call or from its result, with all that
//! attributes measure of a call.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail so")]

use std::fmt;
use std::future::Future;
use std::num::ParseIntError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use zibrato::testing::{Capture, capture};
use zibrato::{Kind, TagValue, count, count_me, time_me};

/// Everything captured, in order: `level kind name{tags}`, and the value unless it is a time.
fn lines(capture: &Capture) -> Vec<String> {
    let line = |m: &zibrato::Measurement| {
        let tags: Vec<_> = m.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let tags = tags.join(",");
        match m.kind {
            Kind::Timer => format!("{} timer {}{{{tags}}}", m.level, m.name),
            Kind::Gauge => format!("{} gauge {}{{{tags}}} {}", m.level, m.name, m.value),
            _ => format!("{} counter {}{{{tags}}} {}", m.level, m.name, m.value),
        }
    };
    capture.measurements().iter().map(line).collect()
}

fn sorted(capture: &Capture) -> Vec<String> {
    let mut lines = lines(capture);
    lines.sort();
    lines
}

/// Calls, and catches panics.
fn survive<R>(call: impl FnOnce() -> R) {
    catch_unwind(AssertUnwindSafe(call)).ok();
}

/// Polls a future once.
fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

async fn once_pending() {
    let mut asked = false;
    std::future::poll_fn(|_| {
        if std::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[derive(Debug)]
struct Response {
    status: u16,
    route: String,
}

impl Response {
    fn status(&self) -> u16 {
        self.status
    }
}

#[derive(TagValue, Clone, Copy)]
enum Method {
    Get,
    Post,
}

#[time_me(level = "info", name = "t", tags(status = |r| r.status()))]
#[count_me(name = "c", tags(status = |r| r.status(), region = "eu", method = method, route = |r| &*r.route))]
fn answer(method: Method, status: u16) -> Response {
    assert_ne!(status, 500);
    if status == 404 {
        return Response { status, route: "/nowhere".to_owned() };
    }
    Response { status, route: "/".to_owned() }
}

#[test]
fn a_tag_over_the_result_is_what_the_closure_says_of_it() {
    let capture = capture();
    answer(Method::Get, 200);
    answer(Method::Post, 404);
    survive(|| answer(Method::Get, 500));
    let expected = [
        "info timer t{status=200}",
        "info counter c{method=get,region=eu,route=/,status=200} 1",
        "info timer t{status=404}",
        "info counter c{method=post,region=eu,route=/nowhere,status=404} 1",
        "info timer t{status=panic}",
        "info counter c{method=get,region=eu,route=panic,status=panic} 1",
    ];
    assert_eq!(lines(&capture), expected);
}

fn kind(result: &Result<u32, ParseIntError>) -> &'static str {
    if result.is_ok() { "fine" } else { "bad" }
}

#[count_me(name = "p", tags(kind = |r| kind(r), radix = radix), value = radix, err(level = "warn"))]
#[count_me(name = "only", tags(ok = |r: &Result<_, _>| r.is_ok()), on = "err")]
#[time_me(name = "p.time", tags(n = |r| r.as_ref().map_or_else(|e| e.to_string(), |n| n.to_string())),
    slow("1ns"))]
fn parse(text: &str, radix: u32) -> Result<u32, ParseIntError> {
    let number = u32::from_str_radix(text, radix)?;
    Ok(number)
}

#[test]
fn a_tag_over_the_result_goes_with_outcomes_and_slow_calls() {
    let capture = capture();
    parse("7", 10).unwrap();
    parse("x", 10).unwrap_err();
    let mut expected = [
        "info timer p.time{n=7}",
        "warn timer p.time{n=7,slow=1ns}",
        "info counter p{kind=fine,outcome=ok,radix=10} 10",
        "info timer p.time{n=invalid digit found in string}",
        "warn timer p.time{n=invalid digit found in string,slow=1ns}",
        "info counter only{ok=false} 1",
        "warn counter p{kind=bad,outcome=err,radix=10} 10",
    ];
    expected.sort();
    assert_eq!(sorted(&capture), expected);
}

#[count_me(name = "large", on = |n| *n > 1_000)]
#[count_me(name = "even", on = |n: &u32| n.is_multiple_of(2), tags(text = text, digits = |n| n.to_string().len()))]
#[count_me(name = "odd", on = |n| { assert_ne!(*n, 7); n % 2 == 1 }, in_flight)]
fn number(text: &str) -> u32 {
    text.parse().unwrap()
}

#[count_me(name = "named", on = |text| !text.is_empty(), polls)]
async fn named(text: &str) -> String {
    once_pending().await;
    text.to_owned()
}

#[test]
fn a_closure_says_which_results_are_counted() {
    let capture = capture();
    for text in ["2000", "3", "7"] {
        number(text);
    }
    survive(|| number("x"));
    let mut counted = sorted(&capture);
    counted.retain(|line| !line.contains("in_flight"));
    let expected = [
        "info counter even{digits=4,text=2000} 1",
        "info counter large{} 1",
        // For 7 it panics, which is no result that is counted.
        "info counter odd{} 1",
    ];
    assert_eq!(counted, expected);
    for text in ["a", ""] {
        let mut future = Box::pin(named(text));
        assert!(poll(future.as_mut()).is_pending() && poll(future.as_mut()).is_ready());
    }
    assert_eq!(capture.counter("info", "named"), 1.0);
    assert_eq!(capture.counter("info", "named.polls"), 4.0);
}

/// Not [`Copy`], so the body moves it.
struct Tenant(String);

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[time_me(name = "a", in_flight, polls, outcomes, slow("1ns"), tags(tenant = tenant, found = |r| r.is_some()))]
async fn find(tenant: Tenant) -> Option<usize> {
    once_pending().await;
    let Tenant(name) = tenant;
    assert_ne!(name, "panics");
    name.find('a')
}

#[test]
fn a_future_has_tags_from_its_arguments_and_from_its_result() {
    for (tenant, found, outcome) in
        [("acme", "true", "ok"), ("zzz", "false", "err"), ("panics", "panic", "panic")]
    {
        let capture = capture();
        let mut future = Box::pin(find(Tenant(tenant.to_owned())));
        assert!(poll(future.as_mut()).is_pending());
        survive(|| poll(future.as_mut()));
        let expected = [
            format!("info gauge a.in_flight{{tenant={tenant}}} 1"),
            format!("info counter a.polls{{tenant={tenant}}} 1"),
            format!("info counter a.polls{{tenant={tenant}}} 1"),
            format!("info timer a{{found={found},outcome={outcome},tenant={tenant}}}"),
            format!("warn timer a{{found={found},slow=1ns,tenant={tenant}}}"),
            format!("info gauge a.in_flight{{tenant={tenant}}} 0"),
        ];
        assert_eq!(lines(&capture), expected);
    }
    let capture = capture();
    let mut future = Box::pin(find(Tenant("dropped".to_owned())));
    assert!(poll(future.as_mut()).is_pending());
    drop(future);
    let expected = [
        "info gauge a.in_flight{tenant=dropped} 1",
        "info counter a.polls{tenant=dropped} 1",
        "info timer a{found=cancelled,outcome=cancelled,tenant=dropped}",
        "warn timer a{found=cancelled,slow=1ns,tenant=dropped}",
        "info gauge a.in_flight{tenant=dropped} 0",
    ];
    assert_eq!(lines(&capture), expected);
}

#[time_me(name = "boxed", tags(n = n, length = |r| r.len()))]
fn boxed(n: u8) -> Pin<Box<dyn Future<Output = String> + Send>> {
    Box::pin(async move {
        once_pending().await;
        n.to_string()
    })
}

#[count_me(name = "made", in_flight, tags(n = n, length = |r: &String| r.len()))]
fn made(n: u8) -> impl Future<Output = String> + Send {
    let text = n.to_string();
    async move { text }
}

#[time_me(name = "busy", busy, tags(n = n, length = |r| r.len()))]
#[time_me(name = "sampled", sample = 2, in_flight, polls, tags(n = n))]
async fn busy(n: u8) -> String {
    n.to_string()
}

#[test]
fn functions_that_return_a_future_have_them_too() {
    let capture = capture();
    let mut future = boxed(10);
    assert!(poll(future.as_mut()).is_pending() && poll(future.as_mut()).is_ready());
    assert!(poll(Box::pin(made(100)).as_mut()).is_ready());
    assert!(poll(Box::pin(busy(1)).as_mut()).is_ready());
    let expected = [
        "info timer boxed{length=2,n=10}",
        "info gauge made.in_flight{n=100} 1",
        "info counter made{length=3,n=100} 1",
        "info gauge made.in_flight{n=100} 0",
        "info gauge sampled.in_flight{n=1} 1",
        "info counter sampled.polls{n=1} 1",
        "info timer sampled{n=1}",
        "info gauge sampled.in_flight{n=1} 0",
        "info timer busy{length=1,n=1}",
    ];
    let (seen, expected) = (lines(&capture), expected.map(str::to_owned));
    assert_eq!(seen[..4], expected[..4]);
    let (mut rest, mut expected) = (seen[4..].to_vec(), expected[4..].to_vec());
    rest.sort();
    expected.sort();
    assert_eq!(rest, expected);
}

#[count_me(name = "few", in_flight, outcomes, tags(method = method, secure = secure))]
#[time_me(name = "few.time", in_flight, slow("1ns"), tags(method = method))]
fn few(method: Method, secure: bool) {}

#[count_me(name = "many", in_flight, tags(route = route))]
#[time_me(name = "many.time", in_flight, tags(route = route))]
fn many(route: &str) -> usize {
    if route.is_empty() {
        return 0;
    }
    route.len()
}

#[test]
fn tags_from_arguments_go_with_all_that_is_measured_of_a_call() {
    let capture = capture();
    few(Method::Post, true);
    many("/");
    let mut expected = [
        "info gauge few.in_flight{method=post,secure=true} 1",
        "info counter few{method=post,outcome=ok,secure=true} 1",
        "info gauge few.in_flight{method=post,secure=true} 0",
        "info gauge few.time.in_flight{method=post} 1",
        "info timer few.time{method=post}",
        "warn timer few.time{method=post,slow=1ns}",
        "info gauge few.time.in_flight{method=post} 0",
        "info gauge many.in_flight{route=/} 1",
        "info counter many{route=/} 1",
        "info gauge many.in_flight{route=/} 0",
        "info gauge many.time.in_flight{route=/} 1",
        "info timer many.time{route=/}",
        "info gauge many.time.in_flight{route=/} 0",
    ];
    expected.sort();
    assert_eq!(sorted(&capture), expected);
}

#[count_me(name = "panics", tags(a = |r| { assert_ne!(*r, 1); *r }, b = |r| *r + 1))]
fn panics(n: u8) -> u8 {
    n
}

#[test]
fn a_closure_that_panics_does_not_take_the_result_away() {
    let capture = capture();
    assert_eq!((panics(1), panics(2)), (1, 2));
    assert_eq!(
        lines(&capture),
        ["info counter panics{a=_panicked,b=2} 1", "info counter panics{a=2,b=3} 1"]
    );
}

struct Shop;

#[time_me(name = "block", tags(length = |r| r.to_string().len(), region = "eu"))]
impl Shop {
    fn count(&self) -> u32 {
        100
    }

    fn open(&mut self) {}
}

#[test]
fn on_a_block_functions_without_a_result_are_not_measured() {
    let capture = capture();
    Shop.open();
    assert_eq!(Shop.count(), 100);
    assert_eq!(lines(&capture), ["info timer block.Shop.count{length=3,region=eu}"]);
}

#[time_me(name = "generic", tags(length = |r| r.to_string().len(), what = what))]
fn generic<T: fmt::Display + ?Sized, W: fmt::Display>(value: &T, what: W) -> &T {
    drop(what);
    value
}

#[test]
fn generic_functions_have_them_too() {
    let capture = capture();
    generic(&1_u8, "text");
    generic("abc", 7);
    let expected =
        ["info timer generic{length=1,what=text}", "info timer generic{length=3,what=7}"];
    assert_eq!(lines(&capture), expected);
}

const LIMIT: u32 = 5;
const OFFSET: i64 = -7;
const DEBUG: bool = true;
const SIGN: char = 'ß';
const REGION: &str = "eu";

struct Market<const N: usize>;

impl<const N: usize> Market<N> {
    const KIND: &'static str = if N > 1 { "large" } else { "small" };

    #[count_me(name = "market", tags(limit = LIMIT, kind = Self::KIND, n = (N), sign = SIGN))]
    fn open(&self) {}
}

#[test]
fn constants_of_any_plain_type_are_values_of_tags() {
    let capture = capture();
    count!("info", "limit", tags(limit = LIMIT, offset = OFFSET, debug = DEBUG, region = REGION));
    count!("info", "most", tags(n = u64::MAX, least = i128::MIN));
    Market::<1>.open();
    Market::<2>.open();
    let expected = [
        "info counter limit{debug=true,limit=5,offset=-7,region=eu} 1".to_owned(),
        format!("info counter most{{least={},n={}}} 1", i128::MIN, u64::MAX),
        "info counter market{kind=small,limit=5,n=1,sign=ß} 1".to_owned(),
        "info counter market{kind=large,limit=5,n=2,sign=ß} 1".to_owned(),
    ];
    assert_eq!(lines(&capture), expected);
}
