//! Each error of a file has its place, and says what to write instead.

use super::super::Rules;
use super::parse;
use std::path::Path;

fn error(text: &str) -> String {
    let no_script = |_: &Path| unreachable!("there is no script");
    Rules::parse(Path::new("r.toml"), text, no_script).unwrap_err().to_string()
}

#[test]
fn errors_have_a_place_and_a_remedy() {
    for (text, place, parts) in [
        ("[[rule]]\nmatch = {\n", "r.toml:", &[][..]),
        ("rules = 1", "r.toml:1:1:", &["unknown field `rules`", "expected one of", "`rule`"]),
        ("[[rule]]\ndrop = true", "r.toml:1:1:", &["missing field `match`"]),
        ("[[rule]]\nmatch = { nam = \"a\" }\ndrop = true", "r.toml:2:11:", &["`nam`", "`name`"]),
        ("[[rule]]\nmatch = {}", "r.toml:1:1:", &["does nothing", "drop = true"]),
        ("[[rule]]\nmatch = {}\ndrop = true\nkeep = true", "r.toml:1:1:", &["exclude each other"]),
        ("[[rule]]\nmatch = {}\ndrop = true\nscale = 2", "r.toml:1:1:", &["exclude each other"]),
        ("[[rule]]\nmatch = {}\ndrop = 1", "r.toml:3:8:", &["boolean"]),
        ("[[rule]]\nmatch = {}\nscale = 0", "r.toml:3:9:", &["other than 0"]),
        ("[[rule]]\nmatch = {}\nscale = \"2\"", "r.toml:3:9:", &["a number, without quotes"]),
        ("[[rule]]\nmatch = {}\nrenam = \"a\"", "r.toml:3:1:", &["did you mean `rename`?"]),
        ("[[rule]]\nmatch = {}\nlevel = \"a,b\"", "r.toml:3:9:", &["give one level"]),
        ("[[rule]]\nmatch = {}\nscale = nan", "r.toml:3:9:", &["finite"]),
        ("[[rule]]\nmatch = {}\nlevel = \"a|b\"", "r.toml:3:9:", &["level", "`|`"]),
        ("[[rule]]\nmatch = {}\nlevel = \"zibrato\"", "r.toml:3:9:", &["reserved"]),
        ("[[rule]]\nmatch = {}\nrename = \"{nme}\"", "r.toml:3:10:", &["{nme}", "fields are host"]),
        ("[[rule]]\nmatch = {}\nrename = \"{\"", "r.toml:3:10:", &["{{"]),
        ("[[rule]]\nmatch = {}\nrename = \"{1}\"", "r.toml:3:10:", &["no {1}", "0 wildcards"]),
        ("[[rule]]\nmatch = {}\nrename = \"{0}\"", "r.toml:3:10:", &["no field {0}"]),
        (
            "[[rule]]\nmatch.name = [\"*.*\", \"*\"]\nrename = \"{2}\"",
            "r.toml:3:10:",
            &["1 wildcards"],
        ),
        ("[[rule]]\nmatch = {}\ntags = { \"a|b\" = \"c\" }", "r.toml:3:18:", &["a|b", "`|`"]),
        ("[[rule]]\nmatch.name = { regex = '(' }\nkeep = true", "r.toml:2:", &["unclosed group"]),
        ("[[rule]]\nmatch.name = { regx = 'a' }\nkeep = true", "r.toml:2:", &["regx", "regex"]),
        ("[[rule]]\nmatch.name = 3\nkeep = true", "r.toml:2:14:", &["a glob such as"]),
        ("[[rule]]\nmatch.name = []\nkeep = true", "r.toml:2:14:", &["nothing matches"]),
        ("[[rule]]\nmatch.kind = \"count\"\nkeep = true", "r.toml:2:14:", &["counter, gauge"]),
        (
            "[[rule]]\nmatch.name = { regex = '(\\w{100}){100}' }\nkeep = true",
            "r.toml:2:",
            &["too large"],
        ),
        ("[converters]\nmemory = \"f\"", "r.toml:2:10:", &["script = \"FILE\""]),
    ] {
        let error = error(text);
        assert!(error.starts_with(place), "{text:?}: {error}");
        assert!(!error.contains('\n'), "{error}");
        for part in parts {
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}

#[test]
fn errors_of_a_script_have_its_place() {
    for (text, script, expected) in [
        ("", "fn process(host, name, value, time) {\n  let x = ;\n}", "/etc/s.rhai:2:11: "),
        ("", "fn process(host, name, value, time) {\n", "/etc/s.rhai:"),
        (
            "",
            "def process(host, name, value, time):\n    return",
            "/etc/s.rhai:1:1: this is Python; write fn process(host, name, value, time) { … }",
        ),
        ("", "fn process(a) { a }", "/etc/s.rhai:1:1: the function process has 1 parameters"),
        ("", "", "/etc/s.rhai:1:1: nothing calls this script; write fn process(host,"),
        ("", "fn process(h, n, v, t) { other }", "/etc/s.rhai:1:26: "),
        ("", "fn process(h, n, v, t) { eval(\"1\") }", "/etc/s.rhai:1:26: "),
        // They would let a script wait for itself, and use memory without a limit.
        ("", "fn process(h, n, v, t) { let f = (); f = |n| f.call(n); }", "/etc/s.rhai:1:46: "),
        ("", "fn process(h, n, v, t) { let f = 1; f = || [f]; }", "/etc/s.rhai:1:45: "),
        ("", "fn process(h, n, v, t) { let f = Fn(\"g\"); f.curry(f) }", "/etc/s.rhai:1:45: "),
        ("", "import \"x\" as x;\nfn process(h, n, v, t) { }", "/etc/s.rhai:1:"),
        ("converters.cpu = \"f\"", "fn g(s) { }", "/etc/s.rhai:1:1: there is no function f, the"),
        (
            "converters.cpu = \"f\"",
            "fn f() { }",
            "/etc/s.rhai:1:1: the function f has 0 parameters",
        ),
    ] {
        let error = parse(text, script).unwrap_err();
        assert!(error.starts_with(expected), "{script:?}: {error}");
    }
    let missing = "script = \"none.rhai\"";
    let read = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    let error = Rules::parse(Path::new("/etc/r.toml"), missing, read).unwrap_err().to_string();
    assert!(error.starts_with("/etc/r.toml:1:10: the script /etc/none.rhai: "), "{error}");
}

#[test]
fn rules_that_probably_never_match_are_named() {
    for (text, expected) in [
        (
            "[[rule]]\nmatch.protocol = \"stasd\"\ndrop = true",
            "the rule in line 1: match.protocol is none of",
        ),
        (
            "[[rule]]\nmatch.name = \"^shop.*$\"\ndrop = true",
            "the rule in line 1: match.name is a glob",
        ),
        (
            "[[rule]]\nmatch = {}\nkeep = true\n[[rule]]\nmatch.name = \"a\"\ndrop = true",
            "the rule in line 4 is never tried: the rule in line 1 matches everything",
        ),
        (
            "[[rule]]\nmatch = {}\nkeep = true\n[[rule]]\npriority = 1\nmatch.name = \"a\"\ndrop = true",
            "",
        ),
        ("[[rule]]\nmatch = { protocol = \"*d\", name.regex = '^a$' }\ndrop = true", ""),
    ] {
        let no_script = |_: &Path| unreachable!("there is no script");
        let rules = Rules::parse(Path::new("r.toml"), text, no_script).unwrap();
        let warnings = rules.warnings();
        assert_eq!(warnings.len(), usize::from(!expected.is_empty()), "{text}: {warnings:?}");
        assert!(warnings.concat().starts_with(expected), "{text}: {warnings:?}");
    }
}

#[test]
fn carriage_returns_end_lines_of_scripts() {
    for (script, place) in [
        ("// one\r// two\r$", "/etc/s.rhai:3:1:"),
        ("// one\r\n// two\r\n$", "/etc/s.rhai:3:1:"),
        ("// one\r", "/etc/s.rhai:1:1:"),
        ("let text = `\rone\r`;\r$", "/etc/s.rhai:4:1:"),
        ("fn process(h, n, v, t) {\r    [h, n, v, t\r}\r", "/etc/s.rhai:3:1:"),
    ] {
        let error = parse("", script).map(|_| ()).unwrap_err();
        assert!(error.starts_with(place), "{script:?}: {error}");
    }
}
