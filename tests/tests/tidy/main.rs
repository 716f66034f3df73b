//! Rules of this repository that no compiler knows.
//!
//! `ZIBRATO_TIDY=write cargo test -p zibrato-tests --test tidy` rewrites what is generated (the flag
//! tables of the README, the fuzz seeds) in place of comparing it.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests, which fail so")]

mod edges;
mod flags;
mod seeds;
mod sources;

use std::path::{Path, PathBuf};
use zibrato_tests::repository;

/// A text file of the checkout.
struct Source {
    /// Its path from the root, such as `zibrato/src/lib.rs`.
    path: String,
    text: String,
}

/// The text files below `folder` that version control does not ignore, in order.
fn files(folder: &str) -> Vec<Source> {
    let root = repository();
    // Rules of git's, in force also where the checkout is only an export of a repository.
    let walk = ignore::WalkBuilder::new(root.join(folder))
        .hidden(false)
        .parents(true)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .sort_by_file_path(Path::cmp)
        .build();
    let entries = walk.map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()));
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).ok()?;
        let path = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        Some(Source { path, text })
    };
    let all: Vec<_> = files.filter_map(|entry| read(entry.into_path())).collect();
    assert!(!all.is_empty(), "there is nothing in {folder:?}");
    all
}

/// Whether generated files are to be rewritten in place of compared.
fn rewrites() -> bool {
    std::env::var_os("ZIBRATO_TIDY").is_some_and(|what| what == "write")
}

/// Fails with all the complaints, if there are any.
#[track_caller]
fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
