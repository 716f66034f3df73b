//! The examples of `docs/rules.md`.

use super::super::page::blocks;
use super::super::{Collectd, Rules, ScriptTime, Series};
use super::{NOW, apply, memory, outcome, rules, statsd};
use std::path::Path;
use zibrato::Kind;

#[test]
fn the_rules_do_what_the_page_says() {
    let rules = rules(&blocks("toml")[0]);
    assert_eq!(outcome(&rules, statsd("shop.debug.x"), 1.0), "dropped: rule");
    let fields = Collectd {
        plugin: "df",
        plugin_instance: "root",
        type_name: "df_complex",
        type_instance: "free",
        ..Collectd::default()
    };
    let df = Series { collectd: Some(fields), ..memory() };
    assert_eq!(outcome(&rules, df, 7.0), "info toroid.local disk.root.free 7");
    let tags = [("env", "prod"), ("node", "web-1")];
    let timer = Series { kind: Kind::Timer, tags: &tags, ..statsd("shop.pay.us") };
    assert_eq!(outcome(&rules, timer, 250.0), "billing web-1 shop.pay 0.25");
    let tags = apply(&rules, timer, 250.0).result.unwrap().tags;
    assert_eq!(tags, Some(super::tags(&[("env", "prod"), ("shop", "pay")])));
    assert_eq!(apply(&rules, statsd("other"), 1.0).rule, Some(3));
}

#[test]
fn the_script_does_what_the_page_says() {
    let read = |_: &Path| Ok(blocks("rhai")[0].clone());
    let rules = Rules::parse(Path::new("rules.toml"), &blocks("toml")[1], read).unwrap();
    assert_eq!(outcome(&rules, memory(), 1.0), "info toroid.local memory.inactive 1");
    for (offset, is_kept) in [(0.0, true), (-300.0, true), (-301.0, false), (121.0, false)] {
        let applied = rules.apply(memory(), (1.0, NOW + offset), NOW, &mut ScriptTime::default());
        assert_eq!(applied.result.is_ok(), is_kept, "{offset}");
    }
}
