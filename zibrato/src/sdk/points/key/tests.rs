//! What goes into a key comes out of it.

use super::{Item, Key, legal};
use crate::measurement::check_name;
use std::fmt;

fn texts(key: &Key) -> Vec<String> {
    key.items()
        .map(|item| match item {
            Item::Text(text) => text.into_owned(),
            Item::Tag(tag) => format!("{tag}:"),
            Item::Unit(unit) => format!("in {unit}"),
        })
        .collect()
}

#[test]
fn a_key_says_what_it_was_made_of() {
    let mut key = Key::new(7);
    key.text("orders");
    key.unsigned(u64::MAX);
    key.signed(-5);
    key.shown(&1.5);
    key.tag("status");
    key.text("");
    assert_eq!(Key::of(key.bytes()).hash(), key.hash());
    assert_eq!(Key::of(key.bytes()).bytes(), key.bytes());
    let expected = ["orders", "18446744073709551615", "-5", "1.5", "status:", ""];
    assert_eq!(texts(&key), expected);
}

#[test]
fn texts_that_are_too_long_are_cut_alike_however_they_come() {
    for long in ["x".repeat(1 << 20), "ü".repeat(1 << 10), format!("y{}", "ü".repeat(200))] {
        let (mut given, mut shown) = (Key::new(7), Key::new(7));
        given.text(&long);
        shown.shown(&long);
        assert_eq!(given.bytes(), shown.bytes());
        assert!(given.bytes().len() < 300);
        let text = texts(&given).remove(0);
        let (legal, changed) = legal(&text);
        assert!(changed && check_name(&legal).is_ok() && legal.len() > 250, "{legal}");
    }
}

#[test]
fn a_value_that_panics_when_it_is_shown_is_called_so() {
    struct Panics;
    impl fmt::Display for Panics {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half")?;
            panic!("on purpose")
        }
    }
    let mut key = Key::new(7);
    key.shown(&Panics);
    key.text("next");
    assert_eq!(texts(&key), ["_panicked", "next"]);
}

#[test]
fn every_text_can_be_made_legal() {
    for (text, expected) in [
        ("fine", "fine"),
        ("", "_empty"),
        ("a|b\n\t\0c", "a_b___c"),
        ("\u{85}\u{2028}\u{2029}\u{7f}", "____"),
    ] {
        let (legal, changed) = legal(text);
        assert_eq!((&*legal, changed), (expected, text != expected));
        assert_eq!(check_name(&legal), Ok(()));
    }
}
