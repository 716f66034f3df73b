//! Suggestions for invalid arguments, and compile errors as tokens.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::ParseStream;
use syn::{Error, Lit};

use crate::args::Known;
use crate::known;

/// The error for a literal without a name.
pub(crate) fn positional(input: ParseStream<'_>, known: &[Known]) -> Error {
    let Ok(lit) = input.parse::<Lit>() else { return input.error("expected an argument") };
    let takes_value = known.iter().any(|row| row.word == "value");
    let is_annotation = known.iter().any(|row| row.word == "title");
    let instead = match &lit {
        Lit::Str(text) if is_annotation => {
            format!("`stream = {0}` or `title = {0}`", text.token())
        }
        // Levels have no dots: a guess, and only for a message.
        Lit::Str(text) if text.value().contains('.') => format!("`name = {}`", text.token()),
        Lit::Str(text) => format!("`name = {0}` or `level = {0}`", text.token()),
        Lit::Int(_) | Lit::Float(_) if takes_value => {
            format!("`value = {}`", lit.to_token_stream())
        }
        _ => format!("`{}`", known[0].example),
    };
    Error::new(lit.span(), format!("arguments are named: write {instead}"))
}

/// The macros that may have an argument that is unknown here.
const HOMES: [(&str, &[Known]); 7] = [
    ("`#[count_me]`", known::COUNT_ME),
    ("`#[time_me]`", known::TIME_ME),
    ("`gauge!`", known::GAUGE),
    ("`histogram!`", known::HISTOGRAM),
    ("`#[histogram_me]`", known::HISTOGRAM_ME),
    ("`annotate!`", known::ANNOTATE),
    ("`#[annotate_me]`", known::ANNOTATE_ME),
];

/// The error for an unknown argument: where it belongs, or which one is probably meant.
pub(crate) fn unknown(word: &Ident, known: &[Known]) -> Error {
    let typed = word.to_string();
    let is_attribute = known.iter().any(|row| row.word == "level");
    // `count!` and the like have positional arguments for level, name and value.
    let is_elsewhere = |row: &Known| match row.word {
        "level" | "name" => false,
        "value" => is_attribute && typed == row.word,
        _ => typed == row.word,
    };
    if typed == "unit" {
        let message = "there is no `unit` here: timers are in seconds, and counters and gauges have no unit; \
                       remove it, or record the values with `histogram!`, which has one";
        return Error::new(word.span(), message);
    }
    let home = HOMES.iter().find(|(_, known)| known.iter().any(is_elsewhere));
    if let Some((home, _)) = home {
        let message = format!("`{typed}` is an argument of {home}, and is not accepted here");
        return Error::new(word.span(), message);
    }
    let known = || known.iter().filter(|row| row.word != "skip" && !row.word.starts_with('_'));
    let near = known().min_by_key(|row| distance(&typed, row.word));
    let hint = match near {
        // At most half of the letters may be wrong, and not both of two.
        Some(row) if distance(&typed, row.word) <= (row.word.len() / 2).min(row.word.len() - 2) => {
            format!("did you mean `{}`?", row.word)
        }
        _ => {
            let words: Vec<_> = known().map(|row| format!("`{}`", row.word)).collect();
            format!("expected one of {}; a tag is written `tags({typed} = ..)`", words.join(", "))
        }
    };
    Error::new(word.span(), format!("unknown argument `{typed}`; {hint}"))
}

/// The tokens that make the compiler report the error at the wrong tokens.
///
/// The spans include the edition. `::std` exists in every edition; `::core`, which `syn` writes,
/// does not exist in 2015.
pub(crate) fn refusal(error: &Error) -> TokenStream {
    error.to_compile_error().into_iter().map(from_std).collect()
}

/// Compile errors in place of the expression that a macro stands for.
pub(crate) fn refused(errors: &[Error]) -> TokenStream {
    let errors = errors.iter().map(refusal);
    quote!({ #(#errors)* })
}

fn from_std(token: TokenTree) -> TokenTree {
    match token {
        TokenTree::Ident(word) if word == "core" => Ident::new("std", word.span()).into(),
        token => token,
    }
}

/// The Levenshtein distance of two words.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in to.iter().enumerate() {
            let replace = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
