//! The annotated function: attributes, signature, and a body that is not parsed.
//!
//! The body stays a token stream, so that an incomplete one still expands, and completion in
//! editors works. Only inner attributes and items at its beginning are parsed.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{
    Attribute, FnArg, Ident, Meta, Pat, PatIdent, PatType, Receiver, ReceiverKind, ReturnType,
    Signature, Token, Type, TypeGroup, TypeParen, Visibility,
};

use crate::body::{self, Body};
use crate::erase::erase_impl_trait;
use crate::returns::{self, Returns};
use crate::spans::{ends, here, hidden};

/// The item of an attribute, if it is a function.
pub(crate) struct Annotated {
    pub(crate) function: Function,
    /// `None` for a declaration that ends in a semicolon.
    pub(crate) body: Option<Body>,
}

/// Everything except the body.
#[derive(Clone)]
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    visibility: Visibility,
    default: Option<Token![default]>,
    pub(crate) signature: Signature,
    /// The name as a text: `type` for `r#type`.
    pub(crate) name: String,
    /// The output of the future, if the function is not `async` but returns one.
    awaited: Option<Type>,
    pub(crate) returns: Returns,
}

impl Parse for Annotated {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let default = input.parse()?;
        let signature: Signature = input.parse()?;
        let name = signature.ident.unraw().to_string();
        let mut function = Function {
            attributes,
            visibility,
            default,
            signature,
            name,
            awaited: None,
            returns: Returns::Value,
        };
        let declaration: Option<Token![;]> = input.parse()?;
        let mut body = if declaration.is_some() { None } else { Some(input.parse()?) };
        if function.signature.asyncness.is_none()
            && let ReturnType::Type(_, output) = &function.signature.output
        {
            body = body.map(body::inside);
            let is_block = body.as_ref().is_some_and(|body| body.around.is_some());
            if let Some(body) = body.as_ref().filter(|_| !is_block) {
                function.returns = Returns::of(&function.signature, output, &body.statements);
            }
            if is_block || function.returns.is_future() {
                function.awaited = Some(returns::output(output));
            }
        }
        Ok(Self { function, body })
    }
}

impl Annotated {
    /// Ignores that the function returns a future.
    pub(crate) fn measure_the_call(&mut self) {
        self.function.awaited = None;
        self.function.returns = Returns::Value;
        if let Some(body) = &mut self.body
            && let Some(whole) = body.around.as_ref().map(|_| body.whole.to_token_stream())
            && let Ok(whole) = syn::parse2(whole)
        {
            *body = whole;
        }
    }
}

impl Function {
    /// Everything up to the body.
    pub(crate) fn head(&self) -> TokenStream {
        let Self { attributes, visibility, default, signature, .. } = self;
        quote!(#(#attributes)* #visibility #default #signature)
    }

    /// The head of a function that returns the future itself, so that the future does not store the
    /// arguments twice. `None` if callers could notice it, or if it saves nothing.
    pub(crate) fn head_without_async(
        &self,
        output: &Output,
        is_used: impl Fn(&Ident) -> bool,
    ) -> Option<TokenStream> {
        let Self { attributes, visibility, default, signature, .. } = self;
        let is_kept = |binding: &Ident| binding.to_string().starts_with('_') || is_used(binding);
        let mut is_large = false;
        for argument in &signature.inputs {
            let is_simple = match argument {
                FnArg::Receiver(Receiver { attrs, self_token, kind, .. }) => {
                    let is_reference = matches!(kind, ReceiverKind::Reference(..));
                    is_large |= matches!(kind, ReceiverKind::Value);
                    attrs.is_empty() && (is_reference || is_used(&Ident::from(*self_token)))
                }
                FnArg::Typed(PatType { attrs, pat, ty, .. }) => {
                    is_large |= !is_word_sized(ty);
                    // Other arguments may be dropped at the call, and not with the future.
                    attrs.is_empty()
                        && matches!(&**pat, Pat::Ident(PatIdent { attrs, by_ref: None, ident, subpat: None, .. })
                        if attrs.is_empty() && is_kept(ident))
                }
            };
            if !is_simple {
                return None;
            }
        }
        if !is_large || self.never_returns() || !attributes.iter().all(is_blind_to_async) {
            return None;
        }
        let Output { tokens, from, to, .. } = output;
        let mut signature = self.signature.clone();
        signature.asyncness = None;
        signature.output = ReturnType::Default;
        let where_clause = signature.generics.where_clause.take();
        // In this crate's edition, such a type borrows the same as an `async fn`.
        let future =
            quote_spanned!(hidden(*from)=> -> impl ::core::future::Future<Output = #tokens);
        let end = quote_spanned!(hidden(*to)=> >);
        Some(quote!(#(#attributes)* #visibility #default #signature #future #end #where_clause))
    }

    /// The span of `naked`: the body is only assembler, which no call may precede.
    pub(crate) fn naked(&self) -> Option<Span> {
        self.attributes.iter().find_map(|attribute| match &attribute.meta {
            Meta::Path(path) if path.is_ident("naked") => Some(path.span()),
            // `unsafe(naked)`
            Meta::List(list) if list.tokens.to_string() == "naked" => Some(list.tokens.span()),
            _ => None,
        })
    }

    /// Whether the body, or its result, is awaited.
    pub(crate) const fn is_async(&self) -> bool {
        self.signature.asyncness.is_some() || self.awaited.is_some() || self.returns.is_measured()
    }

    /// The type after the arrow.
    pub(crate) fn declared(&self) -> Option<&Type> {
        match &self.signature.output {
            ReturnType::Type(_, output) => Some(output),
            ReturnType::Default => None,
        }
    }

    /// Whether its return type is `!`.
    pub(crate) fn never_returns(&self) -> bool {
        matches!(self.returned(), Some(Type::Never(_)))
    }

    /// The type of the body's value, unless it is `()` or `!`.
    pub(crate) fn output(&self) -> Option<&Type> {
        match self.returned()? {
            Type::Never(_) => None,
            Type::Tuple(tuple) if tuple.elems.is_empty() => None,
            output => Some(output),
        }
    }

    /// The declared type of the body's value. A `$type:ty` of a macro is inside a group.
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

    /// The variables that the arguments bind, in order.
    pub(crate) fn bindings(&self) -> Vec<Ident> {
        let mut bindings = Vec::new();
        for argument in &self.signature.inputs {
            match argument {
                FnArg::Receiver(receiver) => bindings.push(Ident::from(receiver.self_token)),
                // An argument that `cfg` may remove cannot be named.
                FnArg::Typed(typed) if typed.attrs.iter().any(is_conditional) => {}
                FnArg::Typed(typed) => bound(&typed.pat, &mut bindings),
            }
        }
        bindings
    }
}

/// What the function returns, as it can be written inside its body.
pub(crate) struct Output {
    pub(crate) tokens: TokenStream,
    /// Whether nothing of it is left to be inferred.
    pub(crate) is_whole: bool,
    pub(crate) from: Span,
    pub(crate) to: Span,
}

impl Output {
    pub(crate) fn of(function: &Function) -> Self {
        match function.output() {
            Some(output) => {
                let (from, to) = ends(output);
                let (tokens, is_whole) = erase_impl_trait(output);
                Self { tokens, is_whole, from, to }
            }
            None if function.never_returns() => Self::ours(quote_spanned!(here()=> !)),
            None => Self::ours(quote_spanned!(here()=> ())),
        }
    }

    fn ours(tokens: TokenStream) -> Self {
        Self { tokens, is_whole: true, from: here(), to: here() }
    }
}

/// Whether it is no larger than a reference to it, judging by its name.
fn is_word_sized(of: &Type) -> bool {
    const WORDS: [&str; 16] = [
        "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16",
        "u32", "u64", "u128", "usize",
    ];
    match of {
        Type::Reference(_) | Type::Ptr(_) | Type::FnPtr(_) => true,
        Type::Path(path) => {
            path.path.get_ident().is_some_and(|word| WORDS.iter().any(|other| word == other))
        }
        _ => false,
    }
}

/// Whether an attribute means the same on an `async fn` and on a function that returns a future.
/// Those of this crate do; some unknown ones require `async`.
fn is_blind_to_async(attribute: &Attribute) -> bool {
    const KNOWN: [&str; 14] = [
        "allow",
        "annotate_me",
        "cold",
        "count_me",
        "deny",
        "deprecated",
        "doc",
        "forbid",
        "histogram_me",
        "inline",
        "linted",
        "rustfmt",
        "time_me",
        "warn",
    ];
    let path = attribute.path();
    let first = path.segments.first().map(|first| first.ident.to_string());
    let last = path.segments.last().map(|last| last.ident.to_string());
    let is_known =
        |word: &Option<String>| word.as_ref().is_some_and(|word| KNOWN.contains(&word.as_str()));
    is_known(&last) || first.is_some_and(|first| first == "rustfmt")
        // Clippy gets another function.
        || matches!(&attribute.meta, Meta::List(list) if list.path.is_ident("cfg_attr")
            && matches!(list.tokens.clone().into_iter().next(),
                Some(TokenTree::Ident(word)) if word == "clippy"))
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
        // Every case of an or-pattern binds the same variables.
        Pat::Or(pattern) => pattern.cases.iter().take(1).for_each(|pattern| bound(pattern, into)),
        _ => {}
    }
}
