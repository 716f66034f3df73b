//! The body of a function: tokens that are never parsed as Rust, and the future around them, if any.
//!
//! A body may be nothing but a future: `async { .. }`, or `Box::pin(async { .. })`. `#[async_trait]`
//! makes such bodies, and so do the attributes themselves. The caller gets the future at once, so what
//! is measured has to stand inside it.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, Item, Path, Token};

/// The body of a function.
pub(crate) struct Body {
    /// All of it, as it came.
    pub(crate) whole: TokenTree,
    /// The user's braces: they carry the user's edition, which decides when temporaries die.
    pub(crate) braces: Span,
    pub(crate) inner_attributes: Vec<Attribute>,
    /// Items that come before the first statement.
    pub(crate) items: TokenStream,
    pub(crate) statements: TokenStream,
    /// What stands around it, if it is the body of a future.
    pub(crate) around: Option<Around>,
}

impl Parse for Body {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let whole = input.fork().parse()?;
        let content;
        let braces = syn::braced!(content in input).span.join();
        Ok(Self {
            whole,
            braces,
            inner_attributes: content.call(Attribute::parse_inner)?,
            items: items(&content)?,
            statements: content.parse()?,
            around: None,
        })
    }
}

impl Body {
    /// Whether it makes a future that nothing can be put into.
    pub(crate) fn is_made(&self) -> bool {
        self.around.as_ref().is_some_and(|around| around.head.is_none())
    }
}

/// What stands around the future.
pub(crate) struct Around {
    braces: Span,
    inner_attributes: Vec<Attribute>,
    items: TokenStream,
    /// `Box::pin`, and where its parentheses are.
    boxed: Option<(Path, Span)>,
    /// `.boxed()` or the like.
    method: TokenStream,
    /// `async` or `async move`; `None` if the future is a call that another attribute wrote.
    pub(crate) head: Option<TokenStream>,
}

impl Around {
    /// The body of the function again, given the future.
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

/// The body of the future, if the body of the function is nothing else.
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

/// `…::__private::scope::measured(..)`: what another attribute made of the body.
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

/// Takes the items that the body begins with.
fn items(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let mut items = TokenStream::new();
    loop {
        let ahead = input.fork();
        match ahead.parse::<Item>() {
            // A macro call is a statement, unless it is a definition.
            Ok(Item::Macro(call)) if call.ident.is_none() => return Ok(items),
            Ok(_) => {}
            Err(_) => return Ok(items),
        }
        while input.cursor() != ahead.cursor() {
            items.extend([input.parse::<TokenTree>()?]);
        }
    }
}
