//! Rules of this repository that no compiler checks.
//!
//! `ZIBRATO_TIDY=write cargo test -p zibrato-tests --test tidy` rewrites what is generated (the
//! tables of docs/flags.md, the workers of supervisord, the fuzz seeds) instead of comparing it.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests, which fail so")]

mod backends;
mod documents;
mod edges;
mod flags;
mod imports;
mod layers;
mod packages;
mod recipes;
mod seeds;
mod sources;

use sources::shipped;
use std::path::Path;
use zibrato_tests::repository;

/// A text file of the checkout.
struct Source {
    /// Its path from the root, such as `zibrato/src/lib.rs`.
    path: String,
    text: String,
}

/// The text files in `folder` that `.gitignore` does not exclude, in order.
fn files(folder: &str) -> Vec<Source> {
    let root = repository();
    let ignored = std::fs::read_to_string(root.join(".gitignore")).unwrap();
    let mut ignored: Vec<_> =
        ignored.lines().map(|line| root.join(line.trim_start_matches('/'))).collect();
    ignored.push(root.join(".git"));
    let is_ignored =
        |path: &Path| ignored.iter().any(|one| one == path) || path.ends_with("__pycache__");
    let walk = walkdir::WalkDir::new(root.join(folder)).sort_by_file_name().into_iter();
    let entries = walk.filter_entry(|entry| !is_ignored(entry.path())).map(Result::unwrap);
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path).ok()?;
        let path = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        Some(Source { path, text })
    };
    let files = entries.filter(|entry| entry.file_type().is_file());
    let all: Vec<_> = files.filter_map(|entry| read(entry.path())).collect();
    assert!(!all.is_empty(), "there is nothing in {folder:?}");
    all
}

/// Whether generated files are rewritten instead of compared.
fn rewrites() -> bool {
    std::env::var_os("ZIBRATO_TIDY").is_some_and(|what| what == "write")
}

/// Fails with all problems, if there are any.
#[track_caller]
fn none(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}
