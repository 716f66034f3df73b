//! The imports between files of a crate, parsed from their text.
//!
//! `use` trees and paths in the code are followed through re-exports to the file that contains the
//! item. A re-export of a `mod.rs` from its own folder does not count as an import.

use super::{files, shipped};
use std::collections::{BTreeMap, BTreeSet};

/// A module, as its path from the root of the crate; the root itself is empty.
pub(crate) type Module = Vec<String>;

/// A file, a file from which it imports, and the path of the import.
pub(crate) type Edges = BTreeMap<(Module, Module), String>;

/// A path in the text, and the number of inline modules around it.
struct Path {
    words: Vec<String>,
    inner: usize,
}

/// An item of a `use`.
struct Import {
    path: Path,
    /// Its local name.
    name: String,
    public: bool,
}

/// The imports in a file.
#[derive(Default)]
struct Text {
    imports: Vec<Import>,
    paths: Vec<Path>,
    /// The path of each imported name.
    names: BTreeMap<String, Vec<String>>,
    /// The path of each re-exported name.
    exports: BTreeMap<String, Vec<String>>,
}

pub(crate) struct Crate {
    texts: BTreeMap<Module, Text>,
}

impl Crate {
    /// All shipped code of a crate, except its programs.
    pub(crate) fn read(folder: &str) -> Self {
        let root = format!("{folder}/src/");
        let mut sources = BTreeMap::new();
        for file in files(&root) {
            let path = file.path.strip_prefix(&root).unwrap_or_default();
            let program = path == "main.rs" || path.starts_with("bin/");
            if let Some(name) = path.strip_suffix(".rs").filter(|_| !program) {
                let code: Vec<_> = shipped(&file.path, &file.text).map(|(_, line)| line).collect();
                if !code.is_empty() {
                    sources.insert(module(name), code.join("\n"));
                }
            }
        }
        Self::of(sources)
    }

    pub(crate) fn of(sources: BTreeMap<Module, String>) -> Self {
        let texts = sources.iter().map(|(module, code)| (module.clone(), scan(&tokens(code))));
        let mut all = Self { texts: texts.collect() };
        let known: Vec<_> = all.texts.keys().cloned().collect();
        for module in known {
            let mut names = BTreeMap::new();
            let mut exports = BTreeMap::new();
            for import in &all.texts[&module].imports {
                if let Some(path) = all.absolute(&module, &import.path) {
                    names.insert(import.name.clone(), path.clone());
                    if import.public {
                        exports.insert(import.name.clone(), path);
                    }
                }
            }
            if let Some(text) = all.texts.get_mut(&module) {
                (text.names, text.exports) = (names, exports);
            }
        }
        all
    }

    pub(crate) fn modules(&self) -> impl Iterator<Item = &Module> {
        self.texts.keys()
    }

    pub(crate) fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (from, text) in &self.texts {
            let imports = text.imports.iter().map(|import| (&import.path, import.public));
            for (path, public) in imports.chain(text.paths.iter().map(|path| (path, false))) {
                let Some(to) = self.absolute(from, path).map(|path| self.resolve(&path, 0)) else {
                    continue;
                };
                let own = public && to.len() > from.len() && to.starts_with(from);
                if to != *from && !own {
                    edges.entry((from.clone(), to)).or_insert_with(|| path.words.join("::"));
                }
            }
        }
        edges
    }

    /// The path from the root of the crate, if it is a path in this crate.
    fn absolute(&self, module: &Module, path: &Path) -> Option<Vec<String>> {
        let (first, mut rest) = path.words.split_first()?;
        if first == "crate" {
            return Some(rest.to_vec());
        }
        if first == "self" || first == "super" {
            let mut up = usize::from(first == "super");
            while let Some((word, further)) =
                rest.split_first().filter(|(word, _)| *word == "super")
            {
                (rest, up) = (further, up + usize::from(word == "super"));
            }
            let stays = module.len() - up.saturating_sub(path.inner).min(module.len());
            return Some([&module[..stays], rest].concat());
        }
        let child = [&module[..], &path.words[..]].concat();
        if self.texts.contains_key(&child[..=module.len()]) {
            return Some(child);
        }
        let named = self.texts.get(module)?.names.get(first)?;
        Some([named, rest].concat())
    }

    /// The file that contains the item.
    fn resolve(&self, path: &[String], depth: usize) -> Module {
        for length in (0..=path.len()).rev() {
            let (module, rest) = path.split_at(length);
            let Some(text) = self.texts.get(module) else { continue };
            return match rest.split_first() {
                Some((item, further)) if depth < 8 && text.exports.contains_key(item) => {
                    let exported = [&text.exports[item][..], further].concat();
                    self.resolve(&exported, depth + 1)
                }
                _ => module.to_vec(),
            };
        }
        Module::new()
    }
}

/// All groups of files that import from each other in a cycle.
pub(crate) fn circles(edges: &Edges) -> BTreeSet<BTreeSet<Module>> {
    let mut reached: BTreeMap<&Module, BTreeSet<&Module>> = BTreeMap::new();
    for (from, _) in edges.keys() {
        let mut found = BTreeSet::new();
        let mut next = vec![from];
        while let Some(module) = next.pop() {
            for (_, to) in edges.keys().filter(|(from, _)| from == module) {
                if found.insert(to) {
                    next.push(to);
                }
            }
        }
        reached.insert(from, found);
    }
    let is_back = |from: &Module, to: &Module| reached.get(to).is_some_and(|f| f.contains(from));
    let of = |module: &Module| {
        let all = reached[module].iter().filter(|to| is_back(module, to));
        all.map(|to| (*to).clone()).collect::<BTreeSet<_>>()
    };
    let mut circles: BTreeSet<_> = reached.keys().map(|module| of(module)).collect();
    circles.retain(|circle| circle.len() > 1);
    circles
}

fn module(name: &str) -> Module {
    let mut words: Module = name.split('/').map(ToOwned::to_owned).collect();
    words.pop_if(|last| last == "mod" || last == "lib");
    words
}

/// Words, `::` and signs. Quoted text is omitted.
fn tokens(code: &str) -> Vec<String> {
    let (mut tokens, mut rest) = (Vec::new(), code);
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let length = match first {
            '"' => quoted(rest, '"'),
            'r' if raw(rest).is_some() => raw(rest).unwrap_or_default(),
            // A lifetime has no closing quote.
            '\'' if rest.starts_with("'\\") || rest.chars().nth(2) == Some('\'') => {
                quoted(rest, '\'')
            }
            _ if rest.starts_with("::") => 2,
            _ if word > 0 => word,
            _ => first.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        if !first.is_whitespace() && !matches!(first, '"' | '\'') && raw(rest).is_none() {
            tokens.push(token.to_owned());
        }
        rest = behind;
    }
    tokens
}

/// The length of the raw string at the beginning of the text.
fn raw(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('r')?.trim_start_matches('#');
    let hashes = text.len() - inside.len() - 1;
    let inside = inside.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let begun = text.len() - inside.len();
    Some(inside.find(&end).map_or(text.len(), |at| begun + at + end.len()))
}

fn quoted(text: &str, end: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == end && !escaped {
            return at + c.len_utf8();
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn scan(tokens: &[String]) -> Text {
    let (mut text, mut at) = (Text::default(), 0);
    // The nesting depth of each inline module.
    let (mut depth, mut inner) = (0_usize, Vec::new());
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    while at < tokens.len() {
        match token(at) {
            "mod" if token(at + 2) == "{" => inner.push(depth),
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                inner.pop_if(|begun| *begun == depth);
            }
            "use" if is_word(token(at + 1)) => {
                let before = &tokens[at.saturating_sub(4)..at];
                let public = before.last().is_some_and(|last| last == "pub" || last == ")")
                    && before.iter().any(|token| token == "pub");
                let mut tree = Tree { tokens, at: at + 1, inner: inner.len(), public };
                tree.read(&[], &mut text.imports);
                at = tree.at;
                continue;
            }
            word if is_word(word) && token(at + 1) == "::" => {
                let mut words = vec![word.to_owned()];
                while token(at + 1) == "::" && is_word(token(at + 2)) {
                    words.push(token(at + 2).to_owned());
                    at += 2;
                }
                text.paths.push(Path { words, inner: inner.len() });
            }
            _ => {}
        }
        at += 1;
    }
    text
}

/// The text after a `use`.
struct Tree<'a> {
    tokens: &'a [String],
    at: usize,
    inner: usize,
    public: bool,
}

impl Tree<'_> {
    fn token(&self) -> &str {
        self.tokens.get(self.at).map_or(";", String::as_str)
    }

    fn read(&mut self, before: &[String], imports: &mut Vec<Import>) {
        let mut words = before.to_vec();
        while is_word(self.token()) && self.token() != "as" {
            words.push(self.token().to_owned());
            self.at += 1;
            if self.token() == "::" {
                self.at += 1;
            }
        }
        if self.token() == "{" {
            self.at += 1;
            while !matches!(self.token(), "}" | ";") {
                self.read(&words, imports);
                if self.token() == "," {
                    self.at += 1;
                }
            }
            self.at += 1;
            return;
        }
        words.pop_if(|last| last == "self");
        let mut name = words.last().cloned().unwrap_or_default();
        if self.token() == "as" {
            self.at += 1;
            name = self.token().to_owned();
            self.at += 1;
        } else if self.token() == "*" {
            self.at += 1;
        } else if !matches!(self.token(), "," | "}" | ";") {
            // Other signs do not occur in a `use`.
            self.at += 1;
        }
        imports.push(Import { path: Path { words, inner: self.inner }, name, public: self.public });
    }
}
