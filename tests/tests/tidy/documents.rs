//! Documents are short, their links are valid, and the files that they name exist.

use super::{Source, files, none};
use std::path::{Component, Path, PathBuf};
use zibrato_tests::repository;

/// The maximum size of a document: lines, bytes, words.
const LIMITS: [(&str, [usize; 3]); 3] = [
    ("README.md", [150, 12_000, usize::MAX]),
    ("ARCHITECTURE.md", [usize::MAX, usize::MAX, 900]),
    // One page; the list of all grows.
    ("docs/decisions/0", [60, usize::MAX, 500]),
];

/// Folders of this repository. A path in a document that begins with one must exist.
const FOLDERS: [&str; 7] =
    ["broker/", "docs/", "examples/", "tests/", "workers/", "zibrato-macros/", "zibrato/src/"];

/// All documents. Parts of rustdoc, which are among the sources, have other links.
fn documents() -> Vec<Source> {
    let is_document = |path: &str| path.ends_with(".md") && !path.contains("/src/");
    files("").into_iter().filter(|file| is_document(&file.path)).collect()
}

#[test]
fn no_document_is_longer_than_its_limit() {
    let mut problems = Vec::new();
    for Source { path, text } in documents() {
        // Without the lines of a table or a drawing.
        let is_word = |word: &&str| word.contains(char::is_alphanumeric);
        let words = text.split_whitespace().filter(is_word).count();
        let found = [text.lines().count(), text.len(), words];
        for (_, most) in LIMITS.iter().filter(|(name, _)| path.starts_with(name)) {
            if found.iter().zip(most).any(|(found, most)| found > most) {
                problems.push(format!("{path}: lines, bytes, words: {found:?}, at most {most:?}"));
            }
        }
    }
    none(problems);
}

#[test]
fn links_between_documents_are_valid() {
    let mut problems = Vec::new();
    for Source { path, text } in documents() {
        let text = prose(&text);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.contains(char::is_whitespace) {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { PathBuf::from(&path) } else { beside(&path, file) };
            if !repository().join(&target).exists() {
                problems.push(format!("{path}: {link}: there is no such file"));
            } else if !heading.is_empty() && !headings(&target).iter().any(|one| one == heading) {
                problems.push(format!("{path}: {link}: there is no such heading"));
            }
        }
    }
    none(problems);
}

#[test]
fn files_that_documents_name_exist() {
    let mut problems = Vec::new();
    for Source { path, text } in documents() {
        // The changelog may name files that no longer exist.
        if path == "CHANGELOG.md" {
            continue;
        }
        let text = prose(&text);
        let code = text.split('`').skip(1).step_by(2);
        let paths = code.filter(|code| FOLDERS.iter().any(|folder| code.starts_with(folder)));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        for named in paths.filter(|code| code.chars().all(is_plain)) {
            if !repository().join(named).exists() {
                problems.push(format!("{path}: `{named}` does not exist"));
            }
        }
    }
    none(problems);
}

#[test]
fn decisions_are_numbered_and_listed() {
    let decisions = documents().into_iter().map(|file| file.path);
    let decisions =
        decisions.filter_map(|path| path.strip_prefix("docs/decisions/").map(str::to_owned));
    let list = std::fs::read_to_string(repository().join("docs/decisions/README.md")).unwrap();
    let mut problems = Vec::new();
    let decisions = decisions.filter(|name| name != "README.md");
    for (name, number) in decisions.zip(1..) {
        if !name.starts_with(&format!("{number:04}-")) {
            problems.push(format!("{name}: expected number {number:04}"));
        }
        if !list.contains(&format!("({name})")) {
            problems.push(format!("{name}: is not in docs/decisions/README.md"));
        }
    }
    none(problems);
}

/// A document without its code blocks.
fn prose(text: &str) -> String {
    let parts = text.split("```").step_by(2);
    parts.collect::<Vec<_>>().join("\n")
}

/// A path in a document, relative to the root.
fn beside(document: &str, link: &str) -> PathBuf {
    let mut path = Path::new(document).parent().unwrap().to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path
}

/// The headings of a document, as links use them.
fn headings(document: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(repository().join(document)).unwrap_or_default();
    let text = prose(&text);
    let lines = text.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn an_anchor_is_a_heading_in_small_letters_without_punctuation() {
    assert_eq!(anchor("supervisord, systemd, Docker"), "supervisord-systemd-docker");
    assert_eq!(beside("docs/decisions/a.md", "../../x.md"), Path::new("x.md"));
}
