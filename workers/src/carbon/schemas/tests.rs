//! Sections that names get, and windows that do not fit them.

use super::{MAX_NAMES, Schemas};
use std::time::Duration;

const FILE: &str = "\
[carbon]
pattern = ^carbon\\.
retentions = 60:90d

[web]
# Python's look-ahead.
pattern = ^(?!test\\.).*web
retentions = 10s:6h,1m:7d

[default_1min_for_1day]
pattern = .*
retentions = 60s:1d
";

/// The misfits as `section name`.
fn misfits(schemas: &mut Schemas, names: &[&str], flush: u64) -> Vec<String> {
    let found = schemas.misfits(names.iter().copied(), Duration::from_secs(flush));
    found.into_iter().map(|misfit| format!("{} {}", misfit.section, misfit.name)).collect()
}

#[test]
fn the_first_section_counts_whose_pattern_is_found_in_the_name() {
    let names = ["carbon.x", "a.web-1.x", "test.web-1.x", "a.carbon.x", "m;host=web"];
    for (flush, expected) in [
        (60, &["web a.web-1.x"][..]),
        (10, &["carbon carbon.x", "default_1min_for_1day test.web-1.x"]),
        (30, &["carbon carbon.x", "web a.web-1.x", "default_1min_for_1day test.web-1.x"]),
    ] {
        let mut schemas = Schemas::parse(FILE).unwrap();
        assert_eq!(misfits(&mut schemas, &names, flush), expected, "{flush}");
        // Each section is reported once.
        assert_eq!(misfits(&mut schemas, &names, flush), [""; 0]);
    }
}

#[test]
fn carbon_has_a_default_of_its_own() {
    let mut schemas = Schemas::parse("[a]\npattern = ^a\nretentions = 10s:6h\n").unwrap();
    assert_eq!(misfits(&mut schemas, &["a.x", "b.x"], 10), ["default b.x"]);
    let mut schemas = Schemas::parse("").unwrap();
    assert_eq!(misfits(&mut schemas, &["a.x"], 60), [""; 0]);
}

#[test]
fn a_misfit_says_what_happens_and_what_to_set() {
    for (flush, effect, advice) in [
        (
            Duration::from_secs(10),
            "Carbon keeps only the last of several points",
            "set --flush 60, or begin the retentions of [default] with 10s",
        ),
        (
            Duration::from_secs(300),
            "there are gaps between points",
            "set --flush 60, or begin the retentions of [default] with 300s",
        ),
        (
            Duration::from_millis(1_500),
            "Carbon keeps only the last of several points",
            "set --flush 60, or begin the retentions of [default] with 2s",
        ),
    ] {
        let found = Schemas::parse("").unwrap().misfits(["x"].into_iter(), flush);
        let [misfit] = &found[..] else { panic!("{found:?}") };
        assert_eq!((misfit.effect(), &*misfit.advice()), (effect, advice));
    }
}

#[test]
fn what_carbon_ignores_is_named_and_the_rest_is_read() {
    let text = "[a]\npattern = ^a\n[b]\nretentions = 1s:1d\n[c]\npattern = ^c\nretentions = 7s:1d,10s:2d\n\
                [d]\npattern = ^d\nretentions = 10s:1d\n";
    let mut schemas = Schemas::parse(text).unwrap();
    let expected = [
        "line 1: Carbon ignores [a], which has no `retentions`; add one, such as `retentions = \
         10s:6h,1m:7d`, or remove the section",
        "line 3: Carbon ignores [b], which has no `pattern`; add one, such as `pattern = .*`, or \
         remove the section",
        "line 5: Carbon ignores [c]: 10 s is not a multiple of 7 s; change one of the retentions",
    ];
    assert_eq!(schemas.ignored, expected);
    assert_eq!(misfits(&mut schemas, &["a", "b", "c", "d"], 60), ["d d"]);
}

#[test]
fn a_pattern_that_is_none_is_named_with_its_line() {
    let error = Schemas::parse("[a]\nretentions = 1s:1d\npattern = (\n").unwrap_err().to_string();
    assert!(error.starts_with("line 3: the pattern `(` is not valid: "), "{error}");
    let error = Schemas::parse("[a]\nretentions = 1s:1d\npattern = 5%\n").unwrap_err().to_string();
    assert_eq!(error, "line 3: write `%%` for a percent sign, as Python reads `%(name)s`");
    assert!(Schemas::parse("[a]\nretentions = 1s:1d\npattern = 5%%\n").is_ok());
    let error = Schemas::parse("[a]\nretentions = 1x:1d\npattern = .\n").unwrap_err().to_string();
    assert_eq!(error, "line 2: `1x:1d` has the unit `x`; use s, m, h, d, w or y");
}

#[test]
fn a_window_with_many_names_is_matched_in_pieces() {
    let mut schemas = Schemas::parse("[a]\npattern = ^a\nretentions = 60s:1d\n").unwrap();
    let names: Vec<_> =
        (0..2 * MAX_NAMES).map(|n| format!("a{n}")).chain(["b".to_owned()]).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut other = Schemas::parse("[a]\npattern = ^a\nretentions = 10s:1d\n").unwrap();
    for expected in [&[][..], &[], &["default b"], &[]] {
        assert_eq!(misfits(&mut other, &names, 10), expected);
    }
    assert_eq!(misfits(&mut schemas, &names, 60), [""; 0]);
}
