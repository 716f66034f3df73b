//! Tokens with the right spans, and paths into `zibrato::__private`.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::Path;
use syn::ext::IdentExt;

/// `::zibrato::__private::word`, which points at `about` where the compiler has to complain.
pub(crate) fn private(
    krate: Option<&Path>,
    word: &str,
    about: Option<&impl ToTokens>,
) -> TokenStream {
    let (from, to) = about.map_or_else(|| (here(), here()), ends);
    private_at(krate, &[word], from, to)
}

pub(crate) fn private_at(
    krate: Option<&Path>,
    words: &[&str],
    from: Span,
    to: Span,
) -> TokenStream {
    let words = words.iter().map(|word| Ident::new(word, hidden(to)));
    let root = match krate {
        Some(path) => path.to_token_stream(),
        None => quote_spanned!(hidden(from)=> ::zibrato),
    };
    quote_spanned!(hidden(to)=> #root::__private #(::#words)*)
}

/// The first and the last token: rustc underlines from the one to the other.
pub(crate) fn ends(tokens: &impl ToTokens) -> (Span, Span) {
    let mut tokens = tokens.to_token_stream().into_iter();
    let first = tokens.next().map_or_else(Span::call_site, |token| token.span());
    (first, tokens.last().map_or(first, |token| token.span()))
}

/// `span`, but resolved where no name of the user's is seen and no lint of the user's applies.
pub(crate) fn hidden(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}

pub(crate) fn here() -> Span {
    Span::mixed_site()
}

/// Braces that keep the user's span: with it comes the user's edition, which decides when the
/// temporaries of the last expression are dropped.
pub(crate) fn braced(span: Span, content: TokenStream) -> TokenTree {
    let mut group = Group::new(Delimiter::Brace, content);
    group.set_span(span);
    TokenTree::Group(group)
}

/// Whether the word stands in the code, or in a text that a format string may be.
pub(crate) fn is_mentioned(word: &Ident, code: TokenStream) -> bool {
    code.into_iter().any(|token| match token {
        TokenTree::Ident(other) => other == *word,
        TokenTree::Group(group) => is_mentioned(word, group.stream()),
        TokenTree::Literal(literal) => literal.to_string().contains(&format!("{{{}", word.unraw())),
        TokenTree::Punct(_) => false,
    })
}
