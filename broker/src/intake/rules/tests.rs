//! Rules and scripts on samples, and the errors of their files.

mod examples;
mod files;
mod scripts;

use super::{Applied, Collectd, Dropped, Output, Rules, ScriptTime, Series};
use std::borrow::Cow;
use std::io;
use std::path::Path;
use zibrato::Kind;

/// Rules without a script.
fn rules(text: &str) -> Rules {
    let no_script = |_: &Path| unreachable!("there is no script");
    Rules::parse(Path::new("rules.toml"), text, no_script).unwrap()
}

/// Rules with a script.
fn with_script(text: &str, script: &str) -> Rules {
    parse(text, script).unwrap()
}

fn parse(text: &str, script: &str) -> Result<Rules, String> {
    let text = format!("script = \"s.rhai\"\n{text}");
    let read = |path: &Path| match path.to_str() {
        Some("/etc/s.rhai") => Ok(script.to_owned()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    Rules::parse(Path::new("/etc/r.toml"), &text, read).map_err(|error| error.to_string())
}

fn statsd(name: &str) -> Series<'_> {
    Series {
        protocol: "statsd",
        kind: Kind::Counter,
        level: "info",
        host: "",
        name,
        tags: &[],
        collectd: None,
    }
}

/// The sample of bucky's manual.
fn memory() -> Series<'static> {
    let collectd = Collectd {
        plugin: "memory",
        type_name: "memory",
        type_instance: "inactive",
        value_name: "value",
        value_type: 1,
        interval: 10.0,
        ..Collectd::default()
    };
    Series {
        protocol: "collectd",
        kind: Kind::Gauge,
        host: "toroid.local",
        collectd: Some(collectd),
        ..statsd("memory.inactive")
    }
}

const NOW: f64 = 1_700_000_000.0;

fn apply<'a>(rules: &Rules, series: Series<'a>, value: f64) -> Applied<'a> {
    rules.apply(series, (value, NOW), NOW, &mut ScriptTime::default())
}

/// `level host name value`, or why the sample is dropped.
fn outcome(rules: &Rules, series: Series<'_>, value: f64) -> String {
    match apply(rules, series, value).result {
        Ok(Output { level, host, name, value, .. }) => format!("{level} {host} {name} {value}"),
        Err(why) => format!("dropped: {}", why.word()),
    }
}

fn tags(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn without_rules_a_sample_stays_as_it_is() {
    let applied = apply(&rules(""), statsd("a.b"), 2.0);
    assert_eq!((applied.rule, applied.error), (None, None));
    let output = applied.result.unwrap();
    assert!(matches!(output.name, Cow::Borrowed("a.b")) && output.time == NOW);
}

#[test]
fn the_first_rule_that_matches_decides_and_higher_priorities_come_first() {
    let rules = rules(
        r#"
        rule = [
            { match = { name = "shop.*" }, level = "shop" },
            { match = { name = "shop.debug" }, drop = true },
            { match = { name = "*.debug" }, drop = true, priority = 1 },
            { match = { name = "*" }, keep = true, priority = -1 },
        ]"#,
    );
    assert_eq!(outcome(&rules, statsd("shop.paid"), 1.0), "shop  shop.paid 1");
    assert_eq!(outcome(&rules, statsd("shop.debug"), 1.0), "dropped: rule");
    assert_eq!(apply(&rules, statsd("shop.debug"), 1.0).rule, Some(0));
    assert_eq!(outcome(&rules, statsd("other"), 1.0), "info  other 1");
    let titles: Vec<_> = rules.list().iter().map(|rule| rule.title()).collect();
    assert_eq!(titles, ["in line 5", "in line 3", "in line 4", "in line 6"]);
}

#[test]
fn every_text_of_a_series_can_be_matched() {
    let with_tags = [("env", "prod"), ("zone", "eu-1")];
    let series = Series { tags: &with_tags, ..memory() };
    for (matcher, matches) in [
        (r#"protocol = "collectd""#, true),
        (r#"protocol = "statsd""#, false),
        (r#"kind = "gauge""#, true),
        (r#"kind = ["counter", "timer"]"#, false),
        (r#"level = "info""#, true),
        (r#"host = "toroid.*""#, true),
        (r#"host = "toroid""#, false),
        (r#"name = "memory.inactive""#, true),
        (r#"name = "memory?inactive""#, true),
        (r#"name = "Memory.*""#, false),
        ("name = { regex = '^mem.*\\.in' }", true),
        ("name = { regex = 'y\\.i' }", true),
        ("name = [\"x\", { regex = 'active$' }]", true),
        (r#"plugin = "mem*""#, true),
        (r#"plugin_instance = """#, true),
        (r#"plugin_instance = "?*""#, false),
        (r#"type = "memory""#, true),
        (r#"type_instance = "inact*""#, true),
        (r#"value_name = "value""#, true),
        (r#"value_name = "rx""#, false),
        (r#"tags = { env = "prod" }"#, true),
        (r#"tags = { env = "prod", zone = "us-*" }"#, false),
        (r#"tags = { region = "*" }"#, false),
        (r#"plugin = "memory", host = "other""#, false),
        ("", true),
    ] {
        let rules = rules(&format!("rule = [{{ match = {{ {matcher} }}, drop = true }}]"));
        assert_eq!(apply(&rules, series, 1.0).result.is_err(), matches, "{matcher}");
        assert_eq!(rules.resolve(&series).rule.is_some(), matches, "{matcher}");
    }
    // Fields of CollectD are empty in other protocols.
    let rules = rules(r#"rule = [{ match = { plugin = "?*" }, drop = true }]"#);
    assert!(apply(&rules, statsd("a"), 1.0).result.is_ok());
}

#[test]
fn a_template_makes_the_new_name() {
    for (matcher, template, expected) in [
        ("", "disk.{plugin}.{type_instance}", "disk.memory.inactive"),
        ("", "{plugin}.{plugin_instance}.{type_instance}", "memory.inactive"),
        ("", "{host}.{name}", "toroid.local.memory.inactive"),
        ("", "{protocol}.{kind}.{level}.{type}.{value_name}", "collectd.gauge.info.memory.value"),
        ("", "{{{plugin}}}", "{memory}"),
        ("", "by.{tag.env}.{tag.none}", "by.prod"),
        (r#"name = "*.*""#, "{2}.{1}", "inactive.memory"),
        (r#"name = "m?mory.*""#, "{1}{2}", "einactive"),
        ("name = { regex = '^(mem)(x)?' }", "{1}{2}", "mem"),
        (r#"name = ["no.*", "memory.*"]"#, "{1}", "inactive"),
    ] {
        let rules =
            rules(&format!("rule = [{{ match = {{ {matcher} }}, rename = \"{template}\" }}]"));
        let with_tags = [("env", "prod")];
        let series = Series { tags: &with_tags, ..memory() };
        let output = apply(&rules, series, 1.0).result.unwrap();
        assert_eq!(output.name, expected, "{matcher} {template}");
    }
    let lazy = rules(r#"rule = [{ match = { name = "shop.*.*" }, rename = "{1}-{2}" }]"#);
    assert_eq!(outcome(&lazy, statsd("shop.a.b.c"), 1.0), "info  a-b.c 1");
}

#[test]
fn a_rule_scales_sets_the_level_the_host_and_tags() {
    let rules = rules(
        r#"
        [[rule]]
        match = { name = "*.ms" }
        scale = 1e-3
        level = "slow"
        host = "{tag.node}"
        tags = { unit = "s", node = "", env = "{tag.env}-{1}", }
        "#,
    );
    let with_tags = [("zone", "eu"), ("env", "prod"), ("node", "web-1")];
    let series = Series { tags: &with_tags, ..statsd("a.ms") };
    let output = apply(&rules, series, 250.0).result.unwrap();
    assert_eq!((&*output.level, &*output.host, &*output.name), ("slow", "web-1", "a.ms"));
    assert_eq!((output.value, output.scale), (0.25, 1e-3));
    let expected = tags(&[("env", "prod-a"), ("unit", "s"), ("zone", "eu")]);
    assert_eq!(output.tags, Some(expected));
    // The number of members is not scaled.
    let set = Series { kind: Kind::Set, ..series };
    assert_eq!(apply(&rules, set, 3.0).result.unwrap().value, 3.0);
}

#[test]
fn a_result_that_is_not_valid_drops_the_sample() {
    for action in [
        "rename = \"{tag.none}\"",
        "rename = \"a|b\"",
        "rename = \"{name}{name}{name}\"",
        "host = \"{host}\"",
        "tags = { a = \"x|y\" }",
        "scale = 1e300",
    ] {
        let rules = rules(&format!("rule = [{{ match = {{}}, {action} }}]"));
        let long = "n".repeat(100);
        let Err(Dropped::Invalid(why)) = apply(&rules, statsd(&long), 1e9).result else {
            panic!("{action}");
        };
        assert!(why.starts_with("the "), "{why}");
        assert_eq!(outcome(&rules, statsd(&long), 1e9), "dropped: rule_result");
    }
}
