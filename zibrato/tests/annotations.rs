//! `annotate!` and `#[annotate_me]`: what is recorded of events.

use std::future::{Future, pending};
use std::panic::catch_unwind;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use zibrato::testing::{Capture, capture};
use zibrato::{Annotation, annotate, annotate_me, count};

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Stream, title and description of each annotation.
fn texts(capture: &Capture) -> Vec<String> {
    let one = |annotation: &Annotation| {
        let description = annotation.description().map(|text| format!(": {text}"));
        let (stream, title) = (annotation.stream(), annotation.title());
        format!("{stream} {title}{}", description.unwrap_or_default())
    };
    capture.annotations().iter().map(|recorded| one(&recorded.annotation)).collect()
}

#[test]
fn a_macro_records_its_texts_links_and_tags() {
    let capture = capture();
    let (version, who) = (7, "the release train");
    annotate!("info", "deploys", "version {} is live, {0}", version, description = who);
    annotate!(
        "warn",
        "config",
        "{version:>4} | {{x}}",
        link = format_args!("https://ci/{version}"),
        tags(region = "eu", build = version),
        source = "web-1",
    );
    annotate!("info", "starts", "up",);
    let all = capture.annotations();
    let first = "deploys version 7 is live, 7: the release train";
    assert_eq!(texts(&capture), [first, "config 7 | {x}", "starts up"]);
    assert_eq!((all[1].level.as_str(), all[1].source.as_str()), ("warn", "web-1"));
    let second = &all[1].annotation;
    assert_eq!(*second.tags(), [("build", "7"), ("region", "eu")]);
    assert_eq!((second.links()[0].rel(), second.links()[0].href()), ("link", "https://ci/7"));
    assert_eq!((second.end_ms(), second.start_ms() > 1_700_000_000_000), (None, true));
    assert!(capture.measurements().is_empty());
}

#[test]
fn texts_that_cannot_be_sent_are_changed() {
    let capture = capture();
    let (empty, long, pipe) = ("", "é".repeat(5_000), "x|y");
    annotate!("info", "deploys", "{empty}", description = "a\u{7}b\r\nc");
    annotate!("info", "deploys", "{long}", description = &long, link = &long, tags(who = &long));
    annotate!("info", "deploys", "two {}", "li\nnes", tags(a = empty, b = pipe));
    let all = capture.annotations();
    assert_eq!(texts(&capture)[0], "deploys _empty: a b\nc");
    let second = &all[1].annotation;
    assert!(second.title().ends_with("é…") && second.title().len() >= 254);
    assert!(second.description().unwrap().ends_with("é…"));
    assert!(second.links().is_empty() && second.tags().get("who").unwrap().len() >= 254);
    assert_eq!(all[2].annotation.title(), "two li nes");
    assert_eq!(*all[2].annotation.tags(), [("a", "_empty"), ("b", "x_y")]);
}

#[annotate_me(stream = "migrations", title = "to {version}", tags(from = version - 1))]
fn migrate(version: u32) -> Result<u32, String> {
    match version {
        0..3 => Ok(version),
        3 => Err("three".to_owned()),
        _ => panic!("no such version"),
    }
}

#[test]
fn a_function_is_an_event_however_it_ends() {
    let capture = capture();
    assert_eq!(migrate(2), Ok(2));
    migrate(3).unwrap_err();
    catch_unwind(|| migrate(4)).unwrap_err();
    assert_eq!(
        texts(&capture),
        ["migrations to 2", "migrations to 3", "migrations to 4: panicked"]
    );
    for recorded in capture.annotations() {
        assert!(recorded.annotation.end_ms() >= Some(recorded.annotation.start_ms()));
    }
    assert_eq!(*capture.annotations()[0].annotation.tags(), [("from", "1")]);
}

struct Worker<T>(T);

#[annotate_me(stream = "jobs")]
impl<T: Clone + Send + 'static> Worker<T> {
    fn run(&self) -> T {
        self.0.clone()
    }

    async fn later(&self, waits: bool) -> T {
        if waits {
            pending::<()>().await;
        }
        self.0.clone()
    }

    fn boxed(self) -> Pin<Box<dyn Future<Output = T> + Send>> {
        Box::pin(async move { self.0 })
    }

    #[annotate_me(skip)]
    fn skipped(&self) {
        let _ = &self.0;
    }
}

#[test]
fn the_methods_of_a_block_are_events_with_their_names() {
    let capture = capture();
    let worker = Worker("x");
    worker.skipped();
    assert_eq!(worker.run(), "x");
    assert_eq!(poll(pin!(worker.later(false))), Poll::Ready("x"));
    assert_eq!(poll(pin!(worker.boxed())), Poll::Ready("x"));
    assert_eq!(texts(&capture), ["jobs Worker.run", "jobs Worker.later", "jobs Worker.boxed"]);
}

#[test]
fn a_future_that_is_dropped_is_cancelled() {
    let capture = capture();
    let worker = Worker(3);
    {
        let mut future = pin!(worker.later(true));
        assert_eq!(poll(future.as_mut()), Poll::Pending);
        assert!(capture.annotations().is_empty());
    }
    assert_eq!(texts(&capture), ["jobs Worker.later: cancelled"]);
    drop(worker.later(true));
    assert_eq!(capture.annotations().len(), 1, "a future that was never polled");
}

#[annotate_me(stream = "s", title = "t", description = "x".repeat(9_000))]
fn with_a_long_description() {
    panic!("on purpose");
}

#[test]
fn a_panic_has_room_in_the_description() {
    let capture = capture();
    catch_unwind(with_a_long_description).unwrap_err();
    let all = capture.annotations();
    let description = all[0].annotation.description().unwrap();
    assert_eq!(description.len(), 4_096);
    assert!(description.ends_with("x…\npanicked"));
}

#[test]
fn without_an_instrument_nothing_is_evaluated() {
    let evaluated = std::cell::Cell::new(0);
    let count = || evaluated.replace(evaluated.get() + 1);
    annotate!("info", "deploys", "{}", count(), description = count(), tags(n = count()));
    assert_eq!(evaluated.get(), 0);
    let capture = capture();
    annotate!("info", "deploys", "{}", count(), description = count(), tags(n = count()));
    assert_eq!((evaluated.get(), capture.annotations().len()), (3, 1));
}

#[test]
fn an_annotation_beside_a_counter_of_the_same_name_is_another_thing() {
    let capture = capture();
    count!("info", "deploys");
    annotate!("info", "deploys", "live");
    assert_eq!(capture.counter("info", "deploys"), 1.0);
    assert_eq!((capture.measurements().len(), capture.annotations().len()), (1, 1));
}

#[test]
fn values_keep_question_marks_and_returns() {
    fn deploy(version: &str) -> Result<(), std::num::ParseIntError> {
        annotate!("info", "deploys", "version {}", version.parse::<u32>()?);
        Ok(())
    }
    let capture = capture();
    deploy("x").unwrap_err();
    deploy("7").unwrap();
    assert_eq!(texts(&capture), ["deploys version 7"]);
}
