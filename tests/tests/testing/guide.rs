//! `docs/testing.md` shows the examples as they are, and messages as they are printed.

use std::fs;
use std::path::Path;
use zibrato::{count, testing};
use zibrato_tests::repository;

/// The examples, in the order of the document.
const EXAMPLES: [&str; 4] = ["thread", "spawned", "service", "pool"];

/// The blocks of a language in the document.
fn blocks(language: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join("docs/testing.md")).unwrap();
    let blocks = text.split("```").skip(1).step_by(2);
    blocks
        .filter_map(|block| block.strip_prefix(&format!("{language}\n")))
        .map(Into::into)
        .collect()
}

#[test]
fn the_examples_are_those_that_are_tested() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testing");
    let example = |name: &&str| {
        let text = fs::read_to_string(folder.join(format!("{name}.rs"))).unwrap();
        text.split_once("\n\n").unwrap().1.to_owned()
    };
    assert_eq!(blocks("rust"), EXAMPLES.iter().map(example).collect::<Vec<_>>());
}

#[test]
fn the_message_about_a_misspelt_name_is_the_one_that_is_printed() {
    let capture = testing::capture();
    count!("info", "http.requests", 2, tags(method = "GET", status = 200));
    count!("info", "http.requests", tags(method = "GET", status = 404));
    drop(zibrato::time!("info", "db.query"));
    let misspelt = std::panic::AssertUnwindSafe(|| capture.counter("info", "http.request"));
    let panic = std::panic::catch_unwind(misspelt).unwrap_err();
    let message = panic.downcast::<String>().unwrap();
    assert_eq!(blocks("text")[0], format!("{message}\n"));
}
