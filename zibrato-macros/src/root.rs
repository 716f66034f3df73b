//! Finds the `zibrato` crate from the crate that is being compiled.
//!
//! Generated code begins with `::zibrato`, unless `crate = path` gives another path. In a crate
//! that renames zibrato, or uses a re-export, that path does not exist, and the compiler's error
//! would not say what to do. The arguments of the compiler list all crates, so this module looks
//! for `zibrato` there.

use proc_macro2::Span;
use std::fs;
use syn::Error;

/// The error for a crate in which `::zibrato` does not exist.
pub(crate) fn missing(example: impl Fn(&str) -> String) -> Option<Error> {
    let args: Vec<_> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let known = known_as(&args, |file| fs::read_to_string(file).ok());
    let message = match known? {
        Known::Renamed(name) => {
            format!("this crate renames `zibrato` to `{name}`; add `{}`", example(&name))
        }
        Known::Elsewhere => format!(
            "`zibrato` is not a dependency of this crate; if another crate re-exports it, \
             add `{}`",
            example("path::to::zibrato")
        ),
    };
    Some(Error::new(Span::call_site(), message))
}

/// The replacement of `::zibrato`.
#[derive(Debug, PartialEq)]
enum Known {
    /// The same crate under another name.
    Renamed(String),
    /// Possibly an item of another crate.
    Elsewhere,
}

/// Looks for `zibrato` among the arguments of the compiler. `None` if it exists, or if the
/// arguments are inconclusive.
fn known_as(args: &[String], read: impl Fn(&str) -> Option<String>) -> Option<Known> {
    // `@file` holds more arguments.
    if args.iter().skip(1).any(|arg| arg.starts_with('@')) {
        return None;
    }
    let crate_name = values(args, "--crate-name").next()?;
    let mut renamed = None;
    for given in values(args, "--extern") {
        // `options:name=path`
        let (name, path) = given.split_once('=').unwrap_or((given, ""));
        let name = name.rsplit(':').next().unwrap_or(name);
        if name == "zibrato" {
            return None;
        }
        let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
        if file.starts_with("libzibrato-") || file.starts_with("libzibrato.") {
            renamed = Some(name.to_owned());
        }
    }
    if crate_name == "zibrato" {
        return None;
    }
    // `extern crate other as zibrato;`
    let root = args.iter().skip(1).find(|arg| arg.ends_with(".rs"))?;
    if read(root)?.contains(" as zibrato") {
        return None;
    }
    Some(renamed.map_or(Known::Elsewhere, Known::Renamed))
}

/// The values of a flag, written `flag value` or `flag=value`.
fn values<'a>(args: &'a [String], flag: &'a str) -> impl Iterator<Item = &'a str> {
    args.iter().enumerate().filter_map(move |(i, arg)| match arg.strip_prefix(flag)? {
        "" => args.get(i + 1).map(String::as_str),
        value => value.strip_prefix('='),
    })
}

#[cfg(test)]
mod tests {
    use super::{Known, known_as};

    #[test]
    fn the_compilers_arguments_tell_what_zibrato_is_called() {
        let renamed = || Some(Known::Renamed(String::from("z")));
        let main = "fn main() {}";
        for (line, root, expected) in [
            ("rustc --crate-name a src/main.rs --extern zibrato=/d/libzibrato-1f.rlib", main, None),
            ("rustc --crate-name a src/main.rs --extern=zibrato=/d/libzibrato-1f.rlib", main, None),
            ("rustc --crate-name a src/main.rs --extern priv:zibrato=/d/lib.rlib", main, None),
            ("rustc --crate-name a src/main.rs --extern zibrato", main, None),
            ("rustc --crate-name a src/main.rs --extern z=/d/libzibrato-1f.rmeta", main, renamed()),
            ("rustc --crate-name=a src/main.rs --extern=z=/d/libzibrato.rlib", main, renamed()),
            ("rustc --crate-name a src/main.rs --extern z=C:\\d\\libzibrato.rlib", main, renamed()),
            (
                "rustc --crate-name a src/main.rs --extern z=/d/libzibrato-1f.rlib",
                "extern crate z as zibrato;",
                None,
            ),
            (
                "rustc --crate-name a src/main.rs --extern m=/d/libzibrato_macros-1f.so",
                main,
                Some(Known::Elsewhere),
            ),
            ("rustc --crate-name a src/main.rs", main, Some(Known::Elsewhere)),
            ("rustc --crate-name zibrato zibrato/src/lib.rs", main, None),
            ("rustc --crate-name a @more src/main.rs", main, None),
            ("rustc --crate-name a -", main, None),
            ("rustc --crate-name a gone.rs", "", None),
            ("rust-analyzer-proc-macro-srv", main, None),
            ("", main, None),
        ] {
            let args: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            let read = |_: &str| (!root.is_empty()).then(|| root.to_owned());
            assert_eq!(known_as(&args, read), expected, "{line}");
        }
    }
}
