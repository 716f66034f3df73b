//! The annotated function: attributes, signature, and a body that is never parsed as Rust.
//!
//! The body stays a token stream, so that a half-typed one still expands and editors still
//! complete in it. Only what it begins with is looked at: inner attributes, and items.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{
    Attribute, FnArg, Ident, Item, Meta, Pat, ReturnType, Signature, Token, Type, TypeGroup,
    TypeParen, Visibility,
};

use crate::future::{self, Around};

/// What an attribute stands on, if it is a function at all.
pub(crate) struct Annotated {
    pub(crate) function: Function,
    /// `None` for a declaration that ends in a semicolon.
    pub(crate) body: Option<Body>,
}

/// Everything but the body.
#[derive(Clone)]
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    visibility: Visibility,
    default: Option<Token![default]>,
    pub(crate) signature: Signature,
    /// The name as a text: `type` for `r#type`.
    pub(crate) name: String,
    /// What the future gives, if the function is not `async` but its body is a future.
    awaited: Option<Type>,
}

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

impl Parse for Annotated {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let default = input.parse()?;
        let signature: Signature = input.parse()?;
        let name = signature.ident.unraw().to_string();
        let mut function =
            Function { attributes, visibility, default, signature, name, awaited: None };
        let declaration: Option<Token![;]> = input.parse()?;
        let mut body = if declaration.is_some() { None } else { Some(input.parse()?) };
        if function.signature.asyncness.is_none()
            && let ReturnType::Type(_, output) = &function.signature.output
        {
            body = body.map(future::inside);
            if body.as_ref().is_some_and(|body| body.around.is_some()) {
                function.awaited = Some(future::output(output));
            }
        }
        Ok(Self { function, body })
    }
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

impl Function {
    /// Everything up to the body.
    pub(crate) fn head(&self) -> TokenStream {
        let Self { attributes, visibility, default, signature, name: _, awaited: _ } = self;
        quote!(#(#attributes)* #visibility #default #signature)
    }

    /// Where it says that the body is nothing but assembler, which no call may precede.
    pub(crate) fn naked(&self) -> Option<Span> {
        self.attributes.iter().find_map(|attribute| match &attribute.meta {
            Meta::Path(path) if path.is_ident("naked") => Some(path.span()),
            // `unsafe(naked)`
            Meta::List(list) if list.tokens.to_string() == "naked" => Some(list.tokens.span()),
            _ => None,
        })
    }

    /// Whether the body is awaited.
    pub(crate) const fn is_async(&self) -> bool {
        self.signature.asyncness.is_some() || self.awaited.is_some()
    }

    /// Whether it is declared so.
    pub(crate) fn never_returns(&self) -> bool {
        matches!(self.returned(), Some(Type::Never(_)))
    }

    /// What the body gives, unless that is nothing or never.
    pub(crate) fn output(&self) -> Option<&Type> {
        match self.returned()? {
            Type::Never(_) => None,
            Type::Tuple(tuple) if tuple.elems.is_empty() => None,
            output => Some(output),
        }
    }

    /// What it says that the body gives. A `$type:ty` of a macro comes in a group.
    fn returned(&self) -> Option<&Type> {
        let mut returned = match (&self.awaited, &self.signature.output) {
            (Some(awaited), _) => awaited,
            (None, ReturnType::Type(_, output)) => output,
            (None, ReturnType::Default) => return None,
        };
        while let Type::Group(TypeGroup { elem, .. }) | Type::Paren(TypeParen { elem, .. }) =
            returned
        {
            returned = elem;
        }
        Some(returned)
    }

    /// What the arguments bind, from the first to the last.
    pub(crate) fn bindings(&self) -> Vec<Ident> {
        let mut bindings = Vec::new();
        for argument in &self.signature.inputs {
            match argument {
                FnArg::Receiver(receiver) => bindings.push(Ident::from(receiver.self_token)),
                // One that `cfg` may take away cannot be named.
                FnArg::Typed(typed) if typed.attrs.iter().any(is_conditional) => {}
                FnArg::Typed(typed) => bound(&typed.pat, &mut bindings),
            }
        }
        bindings
    }
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

fn is_conditional(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr")
}

fn bound(pattern: &Pat, into: &mut Vec<Ident>) {
    match pattern {
        Pat::Ident(binding) => {
            into.push(binding.ident.clone());
            if let Some((_, pattern)) = &binding.subpat {
                bound(pattern, into);
            }
        }
        Pat::Paren(pattern) => bound(&pattern.pat, into),
        Pat::Reference(pattern) => bound(&pattern.pat, into),
        Pat::Type(pattern) => bound(&pattern.pat, into),
        Pat::Slice(pattern) => pattern.elems.iter().for_each(|pattern| bound(pattern, into)),
        Pat::Struct(pattern) => pattern.fields.iter().for_each(|field| bound(&field.pat, into)),
        Pat::Tuple(pattern) => pattern.elems.iter().for_each(|pattern| bound(pattern, into)),
        Pat::TupleStruct(pattern) => pattern.elems.iter().for_each(|pattern| bound(pattern, into)),
        // Every case of an or-pattern binds the same.
        Pat::Or(pattern) => pattern.cases.iter().take(1).for_each(|pattern| bound(pattern, into)),
        _ => {}
    }
}
