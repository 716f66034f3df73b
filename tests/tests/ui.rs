//! The macros' compile errors, word for word, and the unusual surroundings in which they still
//! work.
//!
//! `cargo ui` with `TRYBUILD=overwrite` writes the expected messages anew.

#[test]
fn hostile_surroundings_compile_and_run() {
    trybuild::TestCases::new().pass("tests/ui/ok/*.rs");
}

#[test]
fn mistakes_are_refused_where_they_stand() {
    trybuild::TestCases::new().compile_fail("tests/ui/err/*.rs");
}
