//! Paths as bucky builds them, recorded from bucky 2.3.0, and where ours differ.

use super::{NameFlags, Naming};
use clap::Parser;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    names: NameFlags,
}

fn naming(args: &[&str]) -> Result<Naming, String> {
    let args = ["x"].iter().chain(args);
    Cli::try_parse_from(args).map_err(|error| error.to_string())?.names.naming()
}

/// The path of a series in the set `bucky-collectd`.
fn path(args: &[&str], host: &str, name: &str) -> String {
    let args = [&["--names", "bucky-collectd"], args].concat();
    let naming = naming(&args).unwrap();
    naming.whole(naming.path(Some(host), "", name), "")
}

#[test]
fn a_path_is_that_of_bucky() {
    let replaced = ["--replace-char", "_"];
    for (args, host, name, expected) in [
        (&[][..], "", "a.b.c", "a.b.c"),
        (&[], "node.company.tld", "cpu.0.user", "tld.company.node.cpu.0.user"),
        (&[], "toroid", "load.short", "toroid.load.short"),
        (&["--prefix", "pre"], "", "a.b", "pre.a.b"),
        (&["--prefix", "pre"], "h.d", "a.b", "pre.d.h.a.b"),
        (&["--prefix", "my.pre"], "", "a", "my.pre.a"),
        (&["--prefix", "my.pre", replaced[0], replaced[1]], "", "a", "my_pre.a"),
        (&["--prefix", "my.pre", "--replace-char", ""], "", "a", "mypre.a"),
        (&["--prefix", "x.y"], "", "a", "x.y.a"),
        (&["--postfix", "post"], "", "a.b", "a.b.post"),
        (&["--postfix", "a.b", "--replace-char", "-"], "", "x", "x.a-b"),
        (
            &["--prefix", "pre.q", "--postfix", "r.post", "--trim-host", "tld"],
            "node.co.tld",
            "a.b",
            "pre.q.co.node.a.b.r.post",
        ),
        (&[], "", "a.a.b.c.c.b", "a.b.c.b"),
        (&["--strip-duplicates", "no"], "", "a.a.b", "a.a.b"),
        (&["--prefix", "pre"], "", "pre.x", "pre.x"),
        (&["--postfix", "x"], "", "a.x", "a.x"),
        (&[], "stats", "stats.x", "stats.x"),
        (&[], "a.a.b", "x", "b.a.x"),
        (&[], "node.tld.", "x", "tld.node.x"),
        (&[], " node . tld ", "x", "tld.node.x"),
        (&[], "10.0.0.1", "x", "1.0.10.x"),
        (&[], "fe80::1", "x", "fe80::1.x"),
        (&["--trim-host", "tld,company.tld"], "node.company.tld", "x", "company.node.x"),
        (&["--trim-host", "company.tld, tld"], "node.company.tld", "x", "node.x"),
        (&["--trim-host", "company.tld"], "company.tld", "x", "x"),
        (&["--trim-host", "company.tld"], "tld", "x", "tld.x"),
        (&["--trim-host", ""], "node.tld", "x", "tld.node.x"),
        (&["--reverse-host", "no"], "node.tld", "x", "node.tld.x"),
        (&[], "nöde.tld", "café.温度", "tld.nöde.café.温度"),
        (&["--replace-char", "X"], "", "a.b", "a.b"),
        // The domain of Hosted Graphite: the key is the prefix.
        (
            &["--prefix", "YOUR-API-KEY"],
            "web1.example.com",
            "load",
            "YOUR-API-KEY.com.example.web1.load",
        ),
    ] {
        assert_eq!(path(args, host, name), expected, "{args:?} {host:?} {name:?}");
    }
}

#[test]
fn a_path_that_graphite_cannot_read_is_changed() {
    // Bucky sends these as they are; their files could not be queried.
    for (name, begin) in [("a...b", "a.b_"), (".a.", "a_"), ("my disk/root.x", "my_disk_root_")] {
        let path = path(&[], "", name);
        assert!(path.starts_with(begin) && path.len() > begin.len(), "{path}");
    }
    assert_eq!(path(&[], "h", ""), "h._");
}

#[test]
fn a_template_orders_the_parts() {
    for (template, expected) in [
        ("{prefix}{source}.{name}{suffix}", "pre.web-1.eu.db.query.mean.post"),
        ("{prefix}{name}{suffix}", "pre.db.query.mean.post"),
        ("{name}.by.{source}{suffix}", "db.query.by.web-1.eu.mean.post"),
        ("{prefix}.apps..{name}-{source}{suffix}", "pre.apps.db.query-web-1.eu.mean.post"),
    ] {
        let args = ["--prefix", "pre", "--postfix", "post", "--template", template];
        let naming = naming(&args).unwrap();
        let path = naming.path(Some("web-1.eu"), "", "db.query");
        assert_eq!(naming.whole(path, "mean"), expected, "{template}");
    }
    // Without a source, its dot is omitted.
    let naming = naming(&["--template", "a.{source}.{name}{suffix}"]).unwrap();
    assert_eq!(naming.path(None, "", "x"), "a.x");
    let long = naming.path(None, "", &"n".repeat(300));
    assert!(long.len() < 250, "{long}");
}

#[test]
fn errors_about_names_say_what_to_do() {
    for (args, part) in [
        (&["--names", "graphite"][..], "statsd-legacy"),
        (&["--template", "{name}"], "write {suffix} at the end"),
        (&["--prefix", "a b"], "--prefix: `a b` is not valid in a path; use `a_b`"),
        (&["--postfix", "a;b"], "--postfix: `a;b` is not valid"),
        (&["--prefix", "a.b", "--replace-char", " "], "use `a_b`"),
        (&["--percentiles", "95"], "--percentiles is for --names statsd and statsd-legacy"),
        (&["--statsd-like", "statsd"], "--statsd-like is for --names statsd"),
        (&["--statsd-statistics", "mean"], "--statsd-statistics is for --names statsd"),
        (&["--histogram-bins", "=1"], "--histogram-bins is for --names statsd"),
        (&["--statsd-prefixes", "set=x"], "--statsd-prefixes is for --names statsd"),
        (&["--names", "statsd-legacy", "--statsd-prefixes", "set=x"], "statsd-legacy are fixed"),
        (&["--names", "statsd", "--percentiles", "99,99.9"], "the name upper_99"),
        (&["--strip-duplicates", "true"], "[possible values: no, yes]"),
    ] {
        let error = naming(args).unwrap_err();
        assert!(error.contains(part), "{args:?}: {error}");
    }
    let both = ["--names", "statsd", "--percentiles", "99,99.9", "--statsd-like", "statsd"];
    assert!(naming(&both).is_ok());
}

#[test]
fn a_domain_that_no_source_ends_in_is_refused() {
    for (domains, dotted, instead) in [
        (".example.com", "`.example.com`", "omit the dot: `example.com`"),
        ("local, ..x", "`..x`", "omit the dot: `x`"),
    ] {
        let why = naming(&["--trim-host", domains]).unwrap_err();
        assert!(why.starts_with("--trim-host: ") && why.contains(dotted), "{why}");
        assert!(why.ends_with(instead), "{why}");
    }
    assert!(naming(&["--trim-host", "example.com., local,"]).is_ok());
}
