//! A body that is nothing but a future: `async { .. }`, or `Box::pin(async { .. })`.
//!
//! `#[async_trait]` makes such bodies. Who calls the function gets the future at once, so what is
//! measured has to stand inside it.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::quote;
use syn::parse::{ParseStream, Parser};
use syn::{
    AngleBracketedGenericArguments, Attribute, GenericArgument, Path, PathArguments, Token, Type,
    TypeInfer, TypeParamBound,
};

use crate::function::Body;

/// What stands around the block of the future.
pub(crate) struct Around {
    braces: Span,
    inner_attributes: Vec<Attribute>,
    items: TokenStream,
    /// `Box::pin`, and where its parentheses are.
    boxed: Option<(Path, Span)>,
    /// `async` or `async move`.
    pub(crate) head: TokenStream,
}

impl Around {
    /// The body of the function again, given the block of the future.
    pub(crate) fn wrap(&self, block: &TokenTree) -> TokenStream {
        let Self { inner_attributes, items, head, .. } = self;
        let mut future = quote!(#head #block);
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
        let boxed = if input.peek(Token![async]) { None } else { Some(input.call(pin)?) };
        let content;
        let (boxed, future) = match boxed {
            Some(path) => {
                let parentheses = syn::parenthesized!(content in input).span.join();
                (Some((path, parentheses)), &content)
            }
            None => (None, input),
        };
        let asynchronous: Token![async] = future.parse()?;
        let moves: Option<Token![move]> = future.parse()?;
        let inner: Body = future.parse()?;
        future.parse::<Option<Token![,]>>()?;
        if !future.is_empty() {
            return Err(future.error("more than a block"));
        }
        Ok((boxed, quote!(#asynchronous #moves), inner))
    };
    match parse.parse2(body.statements.clone()) {
        Ok((boxed, head, inner)) => {
            let Body { whole, braces, inner_attributes, items, .. } = body;
            let around = Some(Around { braces, inner_attributes, items, boxed, head });
            Body { whole, around, ..inner }
        }
        Err(_) => body,
    }
}

fn pin(input: ParseStream<'_>) -> syn::Result<Path> {
    let path = input.call(Path::parse_mod_style)?;
    let mut last = path.segments.iter().rev();
    let is_pin = last.next().is_some_and(|segment| segment.ident == "pin")
        && last.next().is_some_and(|segment| segment.ident == "Box");
    if is_pin { Ok(path) } else { Err(input.error("not `Box::pin`")) }
}

/// What a future of this type gives when it is done; `_` if that cannot be seen.
pub(crate) fn output(future: &Type) -> Type {
    found(future).unwrap_or_else(|| {
        Type::Infer(TypeInfer {
            attrs: Vec::new(),
            underscore_token: Token![_](Span::mixed_site()),
        })
    })
}

fn found(future: &Type) -> Option<Type> {
    match future {
        Type::Group(group) => found(&group.elem),
        Type::Paren(paren) => found(&paren.elem),
        Type::TraitObject(object) => object.bounds.iter().find_map(of_bound),
        Type::ImplTrait(object) => object.bounds.iter().find_map(of_bound),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let mut arguments = types(&last.arguments);
            if last.ident == "BoxFuture" || last.ident == "LocalBoxFuture" {
                return arguments.next_back().cloned();
            }
            arguments.find_map(found)
        }
        _ => None,
    }
}

fn of_bound(bound: &TypeParamBound) -> Option<Type> {
    let TypeParamBound::Trait(bound) = bound else { return None };
    let last = bound.path.segments.last().filter(|last| last.ident == "Future")?;
    angles(&last.arguments)?.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(known) if known.ident == "Output" => Some(known.ty.clone()),
        _ => None,
    })
}

fn types(arguments: &PathArguments) -> impl DoubleEndedIterator<Item = &Type> {
    let arguments = angles(arguments).into_iter().flat_map(|arguments| &arguments.args);
    arguments.filter_map(|argument| match argument {
        GenericArgument::Type(argument) => Some(argument),
        _ => None,
    })
}

const fn angles(arguments: &PathArguments) -> Option<&AngleBracketedGenericArguments> {
    match arguments {
        PathArguments::AngleBracketed(arguments) => Some(arguments),
        PathArguments::None | PathArguments::Parenthesized(_) => None,
    }
}
