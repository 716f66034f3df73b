//! Recognizes a body that consists of a future: `async { .. }`, or `Box::pin(async { .. })`.
//!
//! `#[async_trait]` creates such bodies, and so do the attributes themselves. The caller gets the
//! future immediately, so the measurement must be inside it.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Path, Token};

use crate::function::Body;

/// The code around the future.
pub(crate) struct Around {
    braces: Span,
    inner_attributes: Vec<Attribute>,
    items: TokenStream,
    /// `Box::pin`, and the span of its parentheses.
    boxed: Option<(Path, Span)>,
    /// `.boxed()` or the like.
    method: TokenStream,
    /// `async` or `async move`; `None` if the future is a call that another attribute wrote.
    pub(crate) head: Option<TokenStream>,
}

impl Around {
    /// The body of the function with this future.
    pub(crate) fn wrap(&self, future: &TokenStream) -> TokenStream {
        let Self { inner_attributes, items, method, .. } = self;
        let mut future = quote!(#future #method);
        if let Some((path, span)) = &self.boxed {
            let mut group = Group::new(Delimiter::Parenthesis, future);
            group.set_span(*span);
            future = quote!(#path #group);
        }
        quote!(#(#inner_attributes)* #items #future)
    }

    pub(crate) const fn braces(&self) -> Span {
        self.braces
    }
}

/// The body of the future, if the body of the function consists of it.
pub(crate) fn inside(body: Body) -> Body {
    let parse = |input: ParseStream<'_>| {
        let ahead = input.fork();
        let boxed = if pin(&ahead).is_ok() { Some(input.call(pin)?) } else { None };
        let content;
        let (boxed, future) = match boxed {
            Some(path) => {
                let parentheses = syn::parenthesized!(content in input).span.join();
                (Some((path, parentheses)), &content)
            }
            None => (None, input),
        };
        let (head, inner) = if future.peek(Token![async]) {
            let asynchronous: Token![async] = future.parse()?;
            let moves: Option<Token![move]> = future.parse()?;
            (Some(quote!(#asynchronous #moves)), future.parse()?)
        } else {
            (None, future.call(measured)?)
        };
        let method = if boxed.is_none() { input.call(method)? } else { TokenStream::new() };
        future.parse::<Option<Token![,]>>()?;
        if !future.is_empty() || !input.is_empty() {
            return Err(input.error("more than a future"));
        }
        Ok((boxed, method, head, inner))
    };
    match parse.parse2(body.statements.clone()) {
        Ok((boxed, method, head, inner)) => {
            let Body { whole, braces, inner_attributes, items, .. } = body;
            let around = Some(Around { braces, inner_attributes, items, boxed, method, head });
            Body { whole, around, ..inner }
        }
        Err(_) => body,
    }
}

/// `…::__private::scope::measured(..)`: the body as another attribute wrote it.
fn measured(input: ParseStream<'_>) -> syn::Result<Body> {
    let mut statements = TokenStream::new();
    let path = input.call(Path::parse_mod_style)?;
    let words: Vec<_> = path.segments.iter().rev().take(3).map(|it| &it.ident).collect();
    if !matches!(words[..], [last, scope, private]
        if last == "measured" && scope == "scope" && private == "__private")
    {
        return Err(input.error("something else"));
    }
    path.to_tokens(&mut statements);
    let arguments: Group = input.parse()?;
    let braces = arguments.span();
    arguments.to_tokens(&mut statements);
    Ok(Body {
        whole: TokenTree::Group(Group::new(Delimiter::None, statements.clone())),
        braces,
        inner_attributes: Vec::new(),
        items: TokenStream::new(),
        statements,
        around: None,
    })
}

/// `.boxed()` and `.boxed_local()`, as futures have them.
fn method(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    if !input.peek(Token![.]) {
        return Ok(TokenStream::new());
    }
    let dot: Token![.] = input.parse()?;
    let word: Ident = input.parse()?;
    if word != "boxed" && word != "boxed_local" {
        return Err(input.error("another method"));
    }
    let arguments: Group = input.parse()?;
    Ok(quote!(#dot #word #arguments))
}

fn pin(input: ParseStream<'_>) -> syn::Result<Path> {
    let path = input.call(Path::parse_mod_style)?;
    let mut last = path.segments.iter().rev();
    let is_pin = last.next().is_some_and(|segment| segment.ident == "pin")
        && last.next().is_some_and(|segment| segment.ident == "Box");
    if is_pin { Ok(path) } else { Err(input.error("not `Box::pin`")) }
}
