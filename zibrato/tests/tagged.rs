//! Tags and names made at run time in batches.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail so")]

mod sent;

use sent::sent;
use std::fmt;
use std::thread::Builder;
use zibrato::{CountMe, TagValue, TimeMe, count, count_me, gauge, time, time_me};

#[derive(TagValue, Clone, Copy)]
enum Method {
    Get,
    Post,
}

#[time_me(name = "shop.request", tags(method = method, secure = secure, region = "eu"))]
fn handle(method: Method, secure: bool) {
    count!("info", "shop.handled", tags(region = "eu"));
    gauge!("info", "shop.open", 3, tags(method = method));
}

#[count_me(name = format!("shard.{shard}"))]
fn write(shard: usize) -> usize {
    shard
}

#[test]
fn tags_go_out_with_every_kind_of_reading() {
    let (series, stats) = sent(|| {
        handle(Method::Get, true);
        handle(Method::Post, false);
        handle(Method::Get, true);
    });
    let expected = [
        ("shop.handled;region=eu", 3.0),
        ("shop.open;method=get", 2.0),
        ("shop.open;method=post", 1.0),
        ("shop.request;method=get;region=eu;secure=true", 2.0),
        ("shop.request;method=post;region=eu;secure=false", 1.0),
    ];
    assert_eq!(series, expected.map(|(series, times)| (series.to_owned(), times)).into());
    assert!(stats.balances() && stats.recorded == 9, "{stats:?}");
}

#[test]
fn names_made_at_run_time_go_out_and_bad_ones_are_made_legal() {
    let mut made = 0;
    let mut name = |name: &'static str| {
        made += 1;
        name
    };
    let (series, stats) = sent(|| {
        for _ in 0..2 {
            count!("info", name("fine"));
            count!("info", name("not|fine"));
            drop(time!("debug", name("nobody.wants.it")));
        }
    });
    assert_eq!(series, [("fine".to_owned(), 2.0), ("not_fine".to_owned(), 2.0)].into());
    assert_eq!((stats.recorded, stats.total_lost(), stats.renamed), (4, 0, 1), "{stats:?}");
    assert!(stats.balances(), "{stats:?}");
    assert_eq!(made, 4, "a name is only made for a level that is wanted");
}

#[test]
fn too_many_names_made_at_run_time_are_counted_together() {
    let threads = 4;
    let (series, stats) = sent(|| {
        let write_all = || (0..102_000).for_each(|shard| assert_eq!(write(shard), shard));
        let threads: Vec<_> =
            (0..threads).map(|_| Builder::new().spawn(write_all).unwrap()).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let times = f64::from(threads);
    assert_eq!(series["shard.0"], times);
    assert!(series.values().sum::<f64>() == times * 102_000.0 && stats.balances(), "{stats:?}");
    assert!(series["_overflow"] >= times * 1_900.0, "{}", series["_overflow"]);
    assert!(series.len() <= 100_001 + 4, "threads that make names at once may make a few more");
}

/// A status as an application has it: it can be displayed, and that is all.
#[derive(Clone, Copy)]
struct Status(u16);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[time_me(name = "http.request", tags(method = method, route = route, status = status))]
#[count_me(name = "http.requests", tags(route = route, status = status), value = bytes)]
fn answer(method: Method, route: &str, status: Status, bytes: u64) {}

#[test]
fn tags_of_any_value_that_can_be_displayed_go_out() {
    let (series, stats) = sent(|| {
        for (method, route, status) in
            [(Method::Get, "/", 200), (Method::Post, "/cart", 404), (Method::Get, "/", 200)]
        {
            answer(method, route, Status(status), 10);
        }
        let (tenant, shard) = (String::from("acme"), 7_i8);
        count!("info", "macro", tags(tenant = tenant, shard = shard, last = shard == 7));
        gauge!("info", "depth", 3, tags(queue = 'q', region = "eu"));
        time!("info", "took", (), tags(ratio = 0.5));
        let mut time = time!("info", "request", tags(route = tenant));
        time.tag("status", Status(503));
        time.tag("status", 200);
        drop(time);
        let mut time = time!("info", "plain");
        time.tag("status", "ok");
        drop(time);
        let mut time = TimeMe::new("info", "by.name");
        time.tag("n", 1);
        let mut count = CountMe::new("info", "by.name.counted");
        count.tag("n", -1);
        for shard in 0..2 {
            count!("info", format!("shard.{shard}"), 5, tags(even = shard % 2 == 0, n = shard));
        }
    });
    let expected = [
        ("http.request;method=get;route=/;status=200", 2.0),
        ("http.request;method=post;route=/cart;status=404", 1.0),
        ("http.requests;route=/;status=200", 20.0),
        ("http.requests;route=/cart;status=404", 10.0),
        ("macro;last=true;shard=7;tenant=acme", 1.0),
        ("depth;queue=q;region=eu", 1.0),
        ("took;ratio=0.5", 1.0),
        ("request;route=acme;status=200", 1.0),
        ("plain;status=ok", 1.0),
        ("by.name;n=1", 1.0),
        ("by.name.counted;n=-1", 1.0),
        ("shard.0;even=true;n=0", 5.0),
        ("shard.1;even=false;n=1", 5.0),
    ];
    assert_eq!(series, expected.map(|(series, times)| (series.to_owned(), times)).into());
    assert!(stats.balances() && stats.recorded == 15, "{stats:?}");
}

#[test]
fn values_of_tags_that_may_not_be_are_made_legal_and_none_is_lost() {
    struct Panics;
    impl fmt::Display for Panics {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("on purpose")
        }
    }
    /// One that counts while it is displayed.
    struct Counts;
    impl fmt::Display for Counts {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            count!("info", "inside", tags(n = f.alternate(), text = "x".to_owned()));
            f.write_str("outside")
        }
    }
    let control: String = (0..=0x1f).map(char::from).collect();
    let long = "x".repeat(1 << 20);
    let (series, stats) = sent(|| {
        for _ in 0..2 {
            count!("info", "a", tags(text = control));
            count!("info", "a", tags(text = "a|b".to_owned()));
            count!("info", "a", tags(text = String::new()));
            count!("info", "a", tags(text = &*long));
            count!("info", "a", tags(text = Panics));
            count!("info", "a", tags(text = Counts));
        }
    });
    let expected = [
        (format!("a;text={}", "_".repeat(32)), 2.0),
        ("a;text=a_b".to_owned(), 2.0),
        ("a;text=_empty".to_owned(), 2.0),
        (format!("a;text={}", "x".repeat(255)), 2.0),
        ("a;text=_panicked".to_owned(), 2.0),
        ("a;text=outside".to_owned(), 2.0),
        ("inside;n=false;text=x".to_owned(), 2.0),
    ];
    assert_eq!(series, expected.into());
    assert!(stats.balances() && stats.recorded == 14 && stats.total_lost() == 0, "{stats:?}");
    assert_eq!(stats.renamed, 4);
}

/// What may not be in a name or tag.
fn bad_characters() -> Vec<char> {
    let controls = (0..0x20).chain(0x7f..0xa0).chain([0x2028, 0x2029]);
    controls.filter_map(char::from_u32).chain(['|']).collect()
}

#[test]
fn names_and_tags_with_any_control_character_are_made_legal() {
    let bad = bad_characters();
    let times = bad.len() as f64;
    let (series, stats) = sent(|| {
        let zibrato = zibrato::installed().unwrap();
        for c in &bad {
            let (name, value) = (format!("n{c}n"), format!("{c}v"));
            count!("info", &name, tags(t = value));
            zibrato.count("info", &name, 1);
            zibrato.counter("info", "handle").with(&name, &value).increment(1);
            let mut count = CountMe::new("info", &name);
            count.tag(&name, &value);
            drop(count);
            let mut time = time!("info", "guard");
            time.tag(&name, c);
        }
    });
    let expected = [
        ("n_n;t=_v", times),
        ("n_n", times),
        ("handle;n_n=_v", times),
        ("n_n;n_n=_v", times),
        ("guard;n_n=_", times),
    ];
    assert_eq!(series, expected.map(|(series, times)| (series.to_owned(), times)).into());
    assert!(stats.balances() && stats.total_lost() == 0, "{stats:?}");
    assert_eq!(stats.renamed, 5 * bad.len() as u64);
}

#[test]
fn of_two_tags_with_one_name_the_last_counts() {
    let (series, stats) = sent(|| {
        let mut time = time!("info", "guard", tags(region = "eu", shard = 1_u8 + 1));
        time.tag("region", "us");
        time.tag("shard", 7);
        time.tag("shard", 8);
        drop(time);
        let zibrato = zibrato::installed().unwrap();
        let handle = zibrato.counter("info", "handle").with("region", "eu");
        handle.with("region", "us").increment(1);
        handle.increment(2);
        let mut count = CountMe::new("info", "by.name");
        count.tag("region", "eu");
        count.tag("region", "us");
    });
    let expected = [
        ("guard;region=us;shard=8", 1.0),
        ("handle;region=us", 1.0),
        ("handle;region=eu", 2.0),
        ("by.name;region=us", 1.0),
    ];
    assert_eq!(series, expected.map(|(series, times)| (series.to_owned(), times)).into());
    assert!(stats.balances(), "{stats:?}");
}

/// Results that are odd values of a tag.
enum Odd {
    Counts,
    Empty,
    Long,
    Panics,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counts => {
                count!("info", "inside", tags(text = String::from("x")));
                f.write_str("outside")
            }
            Self::Empty => Ok(()),
            Self::Long => (0..1 << 10).try_for_each(|_| f.write_str(&"x".repeat(1 << 10))),
            Self::Panics => panic!("on purpose"),
        }
    }
}

#[count_me(name = "odd", outcomes, in_flight, tags(result = |odd| odd, n = n))]
fn odd(odd: Odd, n: u8) -> Odd {
    odd
}

#[test]
fn odd_values_of_tags_over_the_result_are_made_legal_and_none_is_lost() {
    let (series, stats) = sent(|| {
        for result in [Odd::Counts, Odd::Empty, Odd::Long, Odd::Panics] {
            odd(result, 3);
        }
    });
    let expected = [
        ("inside;text=x".to_owned(), 1.0),
        ("odd;n=3;outcome=ok;result=outside".to_owned(), 1.0),
        ("odd;n=3;outcome=ok;result=_empty".to_owned(), 1.0),
        (format!("odd;n=3;outcome=ok;result={}", "x".repeat(255)), 1.0),
        ("odd;n=3;outcome=ok;result=_panicked".to_owned(), 1.0),
        // The maximum, and the present number.
        ("odd.in_flight;n=3".to_owned(), 2.0),
    ];
    assert_eq!(series, expected.into());
    assert!(stats.balances() && stats.total_lost() == 0, "{stats:?}");
}

/// More combinations than there are call sites for.
#[derive(TagValue, Clone, Copy)]
enum Digit {
    Zero,
    One,
    Two,
    Three,
    Four,
    Five,
    Six,
}

const DIGITS: [Digit; 7] =
    [Digit::Zero, Digit::One, Digit::Two, Digit::Three, Digit::Four, Digit::Five, Digit::Six];

#[count_me(
    name = "digits",
    max_series = 400,
    tags(a = digit, b = digit, c = digit, d = digit, e = digit, f = digit, g = digit, h = digit)
)]
#[count_me(name = "three", tags(a = digit, b = other, c = digit), outcomes)]
fn digits(digit: Digit, other: Digit) {}

#[test]
fn any_number_of_combinations_compiles() {
    let (series, stats) = sent(|| {
        for digit in DIGITS {
            for other in DIGITS {
                digits(digit, other);
            }
        }
    });
    let of = |name: &str| series.keys().filter(|series| series.starts_with(name)).count();
    assert_eq!((of("digits"), of("three")), (7, 49));
    assert_eq!(series["digits;a=two;b=two;c=two;d=two;e=two;f=two;g=two;h=two"], 7.0);
    assert_eq!(series["three;a=six;b=one;c=six;outcome=ok"], 1.0);
    assert!(stats.balances() && stats.overflowing.is_none(), "{stats:?}");
}

#[test]
fn a_call_site_has_at_most_so_many_series() {
    fn count_many(from: u32) {
        for n in from..from + 3_000 {
            count!("info", "many", tags(n = n, region = "eu"));
            count!("info", "few", tags(n = n), max_series = 10);
            let mut time = time!("info", "ends");
            time.tag("n", n);
        }
    }
    let threads = 3;
    let (series, stats) = sent(|| {
        let threads: Vec<_> = (0..threads)
            .map(|n| Builder::new().spawn(move || count_many(n * 2_000)).unwrap())
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let of = |name: &str| -> Vec<_> {
        series.iter().filter(|(series, _)| series.starts_with(name)).collect()
    };
    for (name, most, overflow) in [
        ("many", 1_000, "many;n=_overflow;region=eu"),
        ("few", 10, "few;n=_overflow"),
        ("ends", 1_000, "ends;n=_overflow"),
    ] {
        let times: f64 = of(name).iter().map(|(_, times)| **times).sum();
        assert_eq!(times, 9_000.0, "{name}");
        assert_eq!(of(name).len(), most + 1, "{name}");
        assert!(series[overflow] >= 6_000.0 - most as f64, "{}", series[overflow]);
    }
    assert!(stats.balances(), "{stats:?}");
    assert!(stats.overflowing.is_some(), "the offender is named");
}
