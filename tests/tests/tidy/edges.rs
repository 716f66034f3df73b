//! Allowed dependencies between crates, and the dependencies that an application gets with the SDK.

use super::none;
use std::collections::BTreeSet;
use toml::Table;
use zibrato_tests::repository;

/// The crates on which a crate of this workspace must never depend, in any way.
const FORBIDDEN: [(&str, &[&str]); 4] = [
    // They share `zibrato::wire`.
    ("broker", &["zibrato-macros", "zibrato-workers"]),
    ("workers", &["zibrato-broker", "zibrato-macros"]),
    ("zibrato", &["zibrato-broker", "zibrato-workers"]),
    ("zibrato-macros", &["zibrato", "zibrato-broker", "zibrato-workers"]),
];

/// The dependencies of crate `zibrato` with default features, and their purposes.
const SDK: [(&str, &str); 10] = [
    ("foldhash", "hashes what a series is looked up by, keyed at random"),
    (
        "hashbrown",
        "tables that are looked up by parts of a key, which the standard library's are not",
    ),
    ("libc", "hooks for the end of a process and for forks"),
    ("log", "notices in the log of the application"),
    ("once_cell", "initialises the installed instrument once, where it may fail"),
    ("pin-project-lite", "polls the future that an attribute measures, without unsafe code"),
    ("rmp", "writes the MessagePack of a batch"),
    ("thiserror", "error enums"),
    ("zibrato-macros", "#[count_me], #[time_me], count!, time!, gauge!"),
    ("zmq", "the sockets"),
];

/// The dependencies of the macros.
const MACROS: [(&str, &str); 3] = [
    ("proc-macro2", "tokens that tests can create too"),
    ("quote", "writes the expansion of the macros"),
    ("syn", "parses the item below the attribute"),
];

#[test]
fn broker_and_workers_never_depend_on_each_other() {
    let mut problems = Vec::new();
    for (folder, forbidden) in FORBIDDEN {
        let manifest = manifest(folder);
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let names = names(&manifest, table);
            for name in forbidden.iter().filter(|name| names.contains(**name)) {
                problems.push(format!("{folder}/Cargo.toml: [{table}] has {name}"));
            }
        }
    }
    none(problems);
}

#[test]
fn the_dependencies_of_the_sdk_are_few_and_each_has_a_reason() {
    let manifest = manifest("zibrato");
    let mut names = names(&manifest, "dependencies");
    names.retain(|name| {
        let optional = manifest["dependencies"][name].get("optional");
        optional.and_then(toml::Value::as_bool) != Some(true)
    });
    let mut features = vec!["default".to_owned()];
    while let Some(feature) = features.pop() {
        for item in manifest["features"][&feature].as_array().unwrap() {
            match item.as_str().unwrap().strip_prefix("dep:") {
                Some(name) => drop(names.insert(name.to_owned())),
                None => features.push(item.as_str().unwrap().to_owned()),
            }
        }
    }
    assert_eq!(names, SDK.iter().map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
fn the_macros_depend_only_on_crates_for_macros() {
    let names = names(&manifest("zibrato-macros"), "dependencies");
    assert_eq!(names, MACROS.iter().map(|(name, _)| (*name).to_owned()).collect());
}

fn manifest(folder: &str) -> Table {
    let path = repository().join(folder).join("Cargo.toml");
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

/// The crates in one table of dependencies, including those for some platforms only.
fn names(manifest: &Table, table: &str) -> BTreeSet<String> {
    let of = |table: Option<&toml::Value>| {
        let table = table.and_then(toml::Value::as_table);
        table.into_iter().flat_map(Table::keys).cloned().collect::<Vec<_>>()
    };
    let platforms = manifest.get("target").and_then(toml::Value::as_table);
    let platforms = platforms.into_iter().flat_map(Table::values);
    let mut names: BTreeSet<_> = platforms.flat_map(|target| of(target.get(table))).collect();
    names.extend(of(manifest.get(table)));
    names
}
