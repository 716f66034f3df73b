//! Imports go in one direction, which the table in `ARCHITECTURE.md` defines.

use super::imports::{Crate, Edges, Module, circles};
use super::none;
use std::collections::{BTreeMap, BTreeSet};
use zibrato_tests::repository;

/// Import cycles that are not removed yet. Each is the existing part of a cycle.
const CIRCLES: &[(&str, &[&str])] = &[];

/// One row: the files of a layer of a crate. The lowest layer is the first.
#[derive(Debug)]
struct Layer {
    krate: String,
    name: String,
    /// Files and folders below `src`, without `.rs`.
    files: Vec<String>,
}

/// The rows of the table.
fn layers() -> Vec<Layer> {
    let text = std::fs::read_to_string(repository().join("ARCHITECTURE.md")).unwrap();
    let table = text.split_once("<!-- layers -->\n").unwrap().1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let layer = |row: &str| {
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().replace('`', "")).collect();
        let [_, krate, name, files, ..] = &cells[..] else { panic!("{row}") };
        let files = files.split(", ").map(ToOwned::to_owned).collect();
        Layer { krate: krate.clone(), name: name.clone(), files }
    };
    rows.map(layer).collect()
}

/// The index of a module's layer in its crate: the layer with the longest matching path, or the one
/// with `*`, if there is one.
fn place(layers: &[&Layer], module: &Module) -> Option<usize> {
    let path = if module.is_empty() { "lib".to_owned() } else { module.join("/") };
    let fits = |file: &str| {
        path.strip_prefix(file).filter(|rest| rest.is_empty() || rest.starts_with('/')).is_some()
    };
    let all = layers.iter().enumerate();
    let named = all.flat_map(|(at, layer)| layer.files.iter().map(move |file| (at, file)));
    let named = named.filter(|(_, file)| fits(file)).max_by_key(|(_, file)| file.len());
    let rest = || layers.iter().position(|layer| layer.files.contains(&"*".to_owned()));
    named.map(|(at, _)| at).or_else(rest)
}

/// The problems with the imports of one crate.
fn problems(krate: &str, layers: &[&Layer], modules: &[Module], edges: &Edges) -> Vec<String> {
    let mut problems = Vec::new();
    let show = |module: &Module| format!("{krate}/src/{}", module.join("/"));
    for module in modules.iter().filter(|module| place(layers, module).is_none()) {
        problems.push(format!("{}: has no layer in ARCHITECTURE.md", show(module)));
    }
    for ((from, to), path) in edges {
        if let (Some(lower), Some(upper)) = (place(layers, from), place(layers, to))
            && lower < upper
        {
            problems.push(format!(
                "{} ({}) imports {path} from above ({})",
                show(from),
                layers[lower].name,
                layers[upper].name
            ));
        }
    }
    let known: Vec<BTreeSet<Module>> = CIRCLES
        .iter()
        .filter(|(name, _)| *name == krate)
        .map(|(_, files)| files.iter().map(|file| words(file)).collect())
        .collect();
    let found = circles(edges);
    for circle in &found {
        if !known.iter().any(|known| circle.is_subset(known)) {
            let all: Vec<_> = circle.iter().map(show).collect();
            problems.push(format!("an import cycle: {}", all.join(", ")));
        }
    }
    for known in known.iter().filter(|known| !found.iter().any(|circle| circle.is_subset(known))) {
        problems.push(format!("{krate}: the cycle is gone; remove it from CIRCLES: {known:?}"));
    }
    problems
}

fn words(path: &str) -> Module {
    path.split('/').filter(|word| *word != "lib").map(ToOwned::to_owned).collect()
}

#[test]
fn imports_go_down_and_form_no_cycles() {
    let layers = layers();
    let mut all = Vec::new();
    let crates: BTreeSet<_> = layers.iter().map(|layer| layer.krate.as_str()).collect();
    assert_eq!(
        crates.into_iter().collect::<Vec<_>>(),
        ["broker", "workers", "zibrato", "zibrato-macros"]
    );
    for krate in ["broker", "workers", "zibrato", "zibrato-macros"] {
        let own: Vec<_> = layers.iter().filter(|layer| layer.krate == krate).collect();
        let read = Crate::read(krate);
        let modules: Vec<_> = read.modules().cloned().collect();
        all.extend(problems(krate, &own, &modules, &read.edges()));
        for file in own.iter().flat_map(|layer| &layer.files).filter(|file| *file != "*") {
            if !modules.iter().any(|module| module.starts_with(&words(file))) {
                all.push(format!("{krate}: {file} of ARCHITECTURE.md is gone"));
            }
        }
    }
    none(all);
}

#[test]
fn an_import_upward_and_a_cycle_are_found() {
    let layer = |name: &str, files: &[&str]| Layer {
        krate: "x".to_owned(),
        name: name.to_owned(),
        files: files.iter().map(|file| (*file).to_owned()).collect(),
    };
    let layers = [layer("low", &["cells"]), layer("high", &["points", "lib"])];
    let layers: Vec<_> = layers.iter().collect();
    let found = |sources: &[(&str, &str)]| {
        let sources: BTreeMap<_, _> =
            sources.iter().map(|(path, code)| (words(path), (*code).to_owned())).collect();
        let read = Crate::of(sources);
        let modules: Vec<_> = read.modules().cloned().collect();
        problems("x", &layers, &modules, &read.edges())
    };
    let down = ("points", "use crate::cells::{self, a::A}; fn f() { cells::g(A); }");
    let cells = ("cells", "mod a; pub(crate) use a::A; mod m { use super::B; }");
    assert_eq!(found(&[cells, ("cells/a", "struct A; // points"), down]), [""; 0]);
    // By a `use`, by a path, through a re-export of another module, and behind a raw string.
    for up in [
        "use crate::points::P;",
        "fn f() { super::super::points::p() }",
        "use crate::P;",
        "const A: &str = r#\"a \" b\"#; use crate::points::P;",
    ] {
        let lib = ("lib", "pub use points::P; mod points;");
        let found = found(&[lib, ("cells/a", up), ("points", "struct P;")]);
        assert!(found.len() == 1 && found[0].contains("(low) imports"), "{up}: {found:?}");
    }
    let circle = [("points/a", "use super::b::B;"), ("points/b", "fn f(a: super::a::A) {}")];
    assert_eq!(found(&circle), ["an import cycle: x/src/points/a, x/src/points/b"]);
    assert_eq!(found(&[("other", "")]), ["x/src/other: has no layer in ARCHITECTURE.md"]);
}
