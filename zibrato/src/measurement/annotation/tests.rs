//! An annotation has only parts that are within their limits.

use super::{Annotation, AnnotationError};
use crate::measurement::TextProblem::{Bar, Control, Empty, TooLong};

const YEAR_10000: u64 = 253_402_300_800_000;

fn deploy() -> Annotation {
    Annotation::new("deploys", "live", 1_000).unwrap()
}

#[test]
fn the_limits_of_each_part_hold_exactly() {
    let of = |bytes: usize| "é".repeat(bytes / 2) + &"x".repeat(bytes % 2);
    assert!(Annotation::new(&of(255), &of(255), YEAR_10000 - 1).is_ok());
    for (stream, title, start_ms, error) in [
        ("", "a", 0, AnnotationError::Stream(Empty)),
        ("a|b", "a", 0, AnnotationError::Stream(Bar)),
        (&*of(256), "a", 0, AnnotationError::Stream(TooLong)),
        ("a", "", 0, AnnotationError::Title(Empty)),
        ("a", " \t\n ", 0, AnnotationError::Title(Empty)),
        ("a", "a\nb", 0, AnnotationError::Title(Control)),
        ("a", "a\u{2028}b", 0, AnnotationError::Title(Control)),
        ("a", &*of(256), 0, AnnotationError::Title(TooLong)),
        ("a", "a", YEAR_10000, AnnotationError::Start),
    ] {
        assert_eq!(Annotation::new(stream, title, start_ms), Err(error), "{title:?}");
    }
    let described = |text: &str| deploy().with_description(text);
    assert!(described(&of(4_096)).is_ok());
    for (text, problem) in [(&*of(4_097), TooLong), ("a\rb", Control), ("a\u{1b}[1m", Control)] {
        assert_eq!(described(text), Err(AnnotationError::Description(problem)), "{text:?}");
    }
    assert_eq!(deploy().with_end(999), Err(AnnotationError::End));
    assert_eq!(deploy().with_end(YEAR_10000), Err(AnnotationError::End));
    assert_eq!(deploy().with_end(1_000).unwrap().end_ms(), Some(1_000));
}

#[test]
fn titles_and_descriptions_lose_the_white_space_around_them() {
    let one = Annotation::new("a", "\t version | 7 \n", 0).unwrap();
    assert_eq!(one.title(), "version | 7");
    let one = one.with_description(" first\n\tsecond\r\n").unwrap();
    assert_eq!(one.description(), Some("first\n\tsecond"));
    assert_eq!(one.with_description(" \n").unwrap().description(), None);
}

#[test]
fn links_have_a_rel_of_their_own() {
    let link = |rel: &str, href: &str, label| deploy().with_link(rel, href, label);
    let wrong = |part, problem| Err(AnnotationError::Link { part, problem });
    assert_eq!(link("", "https://a", None), wrong("rel", Empty));
    assert_eq!(link("ci", "", None), wrong("href", Empty));
    assert_eq!(link("ci", "https://a\r\nHost: b", None), wrong("href", Control));
    assert_eq!(link("ci", &"x".repeat(2_049), None), wrong("href", TooLong));
    assert_eq!(link("ci", "https://a", Some("")), wrong("label", Empty));
    let one = link("ci", &"x".repeat(2_048), Some("the | build")).unwrap();
    let found = &one.links()[0];
    assert_eq!(
        (found.rel(), found.href().len(), found.label()),
        ("ci", 2_048, Some("the | build"))
    );
    assert_eq!(one.clone().with_link("ci", "https://b", None), Err(AnnotationError::SameRel));
    let ten = (1..10).try_fold(one, |one, n| one.with_link(&n.to_string(), "x", None)).unwrap();
    assert_eq!(ten.with_link("more", "x", None), Err(AnnotationError::TooManyLinks));
}

#[test]
fn tags_are_those_of_measurements() {
    let one = deploy().with_tags([("region", "eu"), ("build", "7")]).unwrap();
    let one = one.with_tag("region", "us").unwrap();
    assert_eq!(*one.tags(), [("build", "7"), ("region", "us")]);
    assert_eq!(one.bytes(), "deploysliveregionusbuild7".len());
    assert_eq!(deploy().with_tag("a|b", "c"), Err(AnnotationError::Tag(Bar)));
    assert_eq!(deploy().with_tag("a", ""), Err(AnnotationError::Tag(Empty)));
    let names: Vec<_> = (0..51).map(|n| n.to_string()).collect();
    let tags = |n| names[..n].iter().map(|name| (&**name, "x"));
    assert_eq!(deploy().with_tags(tags(50)).unwrap().tags().len(), 50);
    assert_eq!(deploy().with_tags(tags(51)), Err(AnnotationError::TooManyTags));
}

#[test]
fn errors_say_what_is_allowed() {
    for (error, text) in [
        (AnnotationError::Title(TooLong), "the title is too long; it may have 255 bytes"),
        (
            AnnotationError::Link { part: "href", problem: Empty },
            "the href of a link is empty; rel and label may have 255 bytes, href 2,048",
        ),
        (
            AnnotationError::Description(Control),
            "the description contains a control character or a line break; it may have 4,096 \
             bytes, and line feeds and tabs",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}
