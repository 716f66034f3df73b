//! The programs in docs/recipes.md equal those that are tested.

use super::{files, none, rewrites};
use zibrato_tests::repository;

const FILE: &str = "docs/recipes.md";

/// The programs of the package that are no recipes: the quickstart, and the program that a recipe is
/// compared with.
const OTHERS: [&str; 2] = ["quickstart", "http-service-metrics"];

#[test]
fn the_recipes_equal_the_programs() {
    let path = repository().join(FILE);
    let before = std::fs::read_to_string(&path).unwrap();
    let (mut after, mut rest, mut shown) = (String::new(), before.as_str(), Vec::new());
    // Each program follows a comment with its path.
    while let Some((head, tail)) = rest.split_once("<!-- examples/") {
        let (name, tail) = tail.split_once(" -->\n```rust\n").expect("a block after the path");
        let (_, tail) = tail.split_once("```\n").expect("the end of the block");
        after += &format!("{head}<!-- examples/{name} -->\n```rust\n{}```\n", code(name));
        shown.push(name);
        rest = tail;
    }
    after += rest;
    if rewrites() {
        std::fs::write(&path, after).unwrap();
        return;
    }
    let differs = before.lines().zip(after.lines()).find(|(is, should)| is != should);
    assert!(
        before == after,
        "{FILE} differs from the programs, first at {differs:?}; \
         ZIBRATO_TIDY=write cargo test -p zibrato-tests --test tidy rewrites it"
    );
    let programs = files("examples").into_iter().map(|file| file.path);
    let missing = programs.filter(|path| {
        let name = path.trim_start_matches("examples/");
        let is_other = OTHERS.iter().any(|other| name.contains(other));
        name.ends_with(".rs") && !is_other && !shown.contains(&name)
    });
    none(missing.map(|path| format!("{FILE} has no recipe for {path}")).collect());
}

/// A program as a user writes it: without its head, and without what only the lints of this
/// workspace need.
fn code(name: &str) -> String {
    let text = std::fs::read_to_string(repository().join("examples").join(name)).expect(name);
    let is_ours = |line: &&str| line.starts_with("//!") || line.starts_with("#![expect(");
    let lines = text.lines().filter(|line| !is_ours(line)).map(|line| format!("{line}\n"));
    lines.collect::<String>().trim_start().to_owned()
}
