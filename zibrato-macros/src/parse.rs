//! Reads arguments, with every mistake found on the way.
//!
//! Each argument is one row: its word, how it is written, and how it is read. The attributes and
//! the function-like macros differ only in the rows they know.

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::token::Paren;
use syn::{Error, Ident, Lit, Token};

use crate::args::{Args, Known, Read};
use crate::hint;
use crate::tags;
use crate::text::is_word_and_value;

/// Reads the arguments of an attribute to the end, whatever is wrong with some of them.
pub(crate) fn attribute(input: ParseStream<'_>, known: &[Known], errors: &mut Vec<Error>) -> Args {
    let mut args = Args::default();
    let mut seen = Vec::new();
    while !input.is_empty() {
        let entry = if input.peek(Lit) {
            Err(hint::positional(input, known))
        } else {
            named(&mut args, &mut seen, input, known)
        };
        end_entry(entry, input, errors);
    }
    args
}

/// Whether `word =` comes next, and not `word == …`, or `tags(` with such or nothing in it.
pub(crate) fn is_named(input: ParseStream<'_>) -> bool {
    is_word_and_value(input) || tags::are_next(input)
}

/// Reads one `word = …` or `word(…)`; a word is taken once, whichever it is.
pub(crate) fn named(
    args: &mut Args,
    seen: &mut Vec<Ident>,
    input: ParseStream<'_>,
    known: &[Known],
) -> syn::Result<()> {
    let Ok(word) = input.call(Ident::parse_any) else {
        return Err(input.error(format!("expected an argument such as `{}`", known[0].example)));
    };
    let Some(row) = known.iter().find(|row| word == row.word) else {
        return Err(hint::unknown(&word, known));
    };
    if seen.contains(&word) {
        return Err(Error::new(word.span(), format!("`{word}` is given twice; keep one")));
    }
    seen.push(word.clone());
    let usage = || Error::new(word.span(), format!("`{word}` is written `{}`", row.example));
    let ends = |input: ParseStream<'_>| input.is_empty() || input.peek(Token![,]);
    match row.read {
        Read::Value(_)
            if !input.peek(Token![=]) || input.peek(Token![==]) || input.peek(Token![=>]) =>
        {
            Err(usage())
        }
        Read::Value(read) => {
            input.parse::<Token![=]>()?;
            if ends(input) { Err(usage()) } else { read(args, input) }
        }
        Read::List(read) | Read::WordOrList(read) if input.peek(Paren) => {
            let content;
            syn::parenthesized!(content in input);
            let read = read(args, word.span(), &content);
            // What is left after a mistake is not another one.
            content.parse::<TokenStream>().and(read)
        }
        Read::WordOrList(read) if ends(input) => {
            let nothing = |input: ParseStream<'_>| read(args, word.span(), input);
            nothing.parse2(TokenStream::new())
        }
        Read::Word(read) if ends(input) => read(args, word.span()),
        Read::Word(_) => {
            let message = format!("`{word}` takes no value: write just `{word}`");
            Err(Error::new(word.span(), message))
        }
        Read::List(_) | Read::WordOrList(_) => Err(usage()),
    }
}

/// Takes the comma that ends an entry; after a mistake, whatever stands before it too.
pub(crate) fn end_entry(entry: syn::Result<()>, input: ParseStream<'_>, errors: &mut Vec<Error>) {
    match entry {
        Err(error) => errors.push(error),
        Ok(()) if input.is_empty() || input.peek(Token![,]) => {}
        Ok(()) => errors.push(input.error("expected `,` between the arguments")),
    }
    while !input.is_empty() && !input.peek(Token![,]) {
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
    if let Err(error) = input.parse::<Option<Token![,]>>() {
        errors.push(error);
    }
}
