//! Tags: fixed ones, and those that arguments select from a few.

use zibrato::testing::capture;
use zibrato::{TagValue, count, count_me, gauge, time, time_me};

#[derive(TagValue, Clone, Copy)]
enum Method {
    Get,
    Post,
}

#[derive(TagValue)]
#[allow(dead_code, reason = "some kinds do not occur")]
enum Kind {
    HotShard,
    #[tag(value = "cold")]
    Frozen,
    r#Loop,
}

const REGION: &str = "eu";

mod constants {
    pub(super) const ZONE: &str = "a";
}

#[count_me(name = "fixed", tags(shard_kind = "hot", region = REGION, "zone.id" = constants::ZONE))]
#[time_me(name = "fixed", tags(type = concat!("a", 1)))]
fn fixed() {}

#[count_me(name = "chosen", tags(method = method, secure = secure, region = "eu",))]
fn chosen(method: Method, secure: &bool) {
    let _ = (method, secure);
}

struct Request {
    method: Method,
    kind: Kind,
}

impl Request {
    #[time_me(name = "handled", tags(method = self.method, kind = &self.kind))]
    #[count_me(name = "failed", on = "err", tags(method = self.method))]
    fn handle(self) -> Result<Self, ()> {
        if matches!(self.method, Method::Post) { Err(()) } else { Ok(self) }
    }

    #[time_me(name = "awaited", tags(method = self.method))]
    #[count_me(name = "awaited.failed", on = "err", tags(method = self.method))]
    async fn answer(&self) -> Option<u8> {
        super::shape::once_pending().await;
        None
    }
}

#[count_me(name = "generic", tags(value = value))]
fn generic<T: TagValue>(value: T) -> usize {
    value.index()
}

fn tagged(capture: &zibrato::testing::Capture) -> Vec<String> {
    let line = |m: &zibrato::Measurement| {
        let tags = m.tags.iter().map(|(tag, value)| format!(";{tag}={value}"));
        format!("{}{}", m.name, tags.collect::<String>())
    };
    capture.measurements().iter().map(line).collect()
}

#[test]
fn every_reading_has_the_fixed_tags() {
    let capture = capture();
    fixed();
    assert_eq!(tagged(&capture), ["fixed;region=eu;shard_kind=hot;zone.id=a", "fixed;type=a1"]);
}

#[test]
fn arguments_select_tags() {
    let capture = capture();
    chosen(Method::Get, &true);
    chosen(Method::Post, &false);
    chosen(Method::Get, &true);
    assert_eq!(
        tagged(&capture),
        [
            "chosen;method=get;region=eu;secure=true",
            "chosen;method=post;region=eu;secure=false",
            "chosen;method=get;region=eu;secure=true",
        ]
    );
}

#[test]
fn the_receiver_selects_tags_before_the_body_moves_it() {
    let capture = capture();
    let get = Request { method: Method::Get, kind: Kind::Frozen }.handle().unwrap();
    assert!(Request { method: Method::Post, kind: Kind::HotShard }.handle().is_err());
    assert!(Request { kind: Kind::Loop, ..get }.handle().is_ok());
    let expected = [
        "handled;kind=cold;method=get",
        "handled;kind=hot_shard;method=post",
        "failed;method=post",
        "handled;kind=loop;method=get",
    ];
    assert_eq!(tagged(&capture), expected);
}

#[test]
fn async_functions_have_tags() {
    let capture = capture();
    let request = Request { method: Method::Post, kind: Kind::Frozen };
    assert_eq!(super::shape::block_on(request.answer()), None);
    assert_eq!(tagged(&capture), ["awaited;method=post", "awaited.failed;method=post"]);
}

#[test]
fn each_type_of_a_generic_function_has_its_own_tags() {
    let capture = capture();
    for _ in 0..2 {
        generic(true);
        generic(Method::Post);
        generic(&Kind::Frozen);
    }
    let once = ["generic;value=true", "generic;value=post", "generic;value=cold"];
    assert_eq!(tagged(&capture), [once, once].concat());
}

#[test]
fn macros_have_tags_after_their_positions() {
    fn tags(n: u64) -> u64 {
        n
    }
    let capture = capture();
    let method = Method::Get;
    count!("info", "a", tags(method = method));
    count!("info", "b", tags(2), tags(region = REGION), source = "web-1");
    gauge!("info", "c", 3, source = "web-1", tags(method = Method::Post, secure = 1 > 2));
    let sum = time!("info", "d", 1 + 2, tags(method = method));
    let guard = time!("info", "e", tags(region = "eu"));
    drop(guard);
    assert_eq!(sum, 3);
    let expected = [
        "a;method=get",
        "b;region=eu",
        "c;method=post;secure=false",
        "d;method=get",
        "e;region=eu",
    ];
    assert_eq!(tagged(&capture), expected);
    assert_eq!(capture.counter("info", "b"), 2.0);
}

#[test]
fn an_index_beyond_the_last_value_is_measured_without_the_tag() {
    struct Wrong;
    impl TagValue for Wrong {
        const VALUES: &'static [&'static str] = &["one"];
        fn index(&self) -> usize {
            1
        }
    }
    let capture = capture();
    for _ in 0..2 {
        count!("info", "wrong", tags(region = "eu", a = Wrong, b = 1 < 2));
        // Nor with the tags that the next value of the previous tag would have.
        count!("info", "wrong", tags(region = "eu", a = 1 > 2, b = Wrong));
    }
    assert_eq!(tagged(&capture), ["wrong;region=eu"; 4]);
}
