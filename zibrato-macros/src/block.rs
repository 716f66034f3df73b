//! An attribute on an `impl`, a `trait` or a module: it measures every function with a body in it.
//!
//! Functions that cannot be measured, such as `const fn`s, stay unchanged. A function with the same
//! attribute keeps its own, and `skip` in it excludes the function.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{
    Attribute, Error, ImplItem, Item, ItemImpl, LitStr, Meta, TraitItem, Type, TypeParamBound,
    TypePath, Visibility,
};

use crate::args::Args;
use crate::body::Body;
use crate::check;
use crate::function::{Annotated, Function};
use crate::measure::Expand;
use crate::target;
use crate::text::Text;

/// The kind of the block.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Impl,
    Mod,
    Trait,
}

/// A block without its members.
pub(crate) struct Block {
    kind: Kind,
    /// Everything up to the braces.
    head: TokenStream,
    /// The type or trait in the names of its functions, if there is one.
    of: Option<String>,
    braces: Span,
    content: TokenStream,
}

/// Reads the block, if it is one.
pub(crate) fn block(item: &TokenStream) -> Option<Block> {
    let kind = kind(item)?;
    let mut tokens: Vec<TokenTree> = item.clone().into_iter().collect();
    let Some(TokenTree::Group(group)) = tokens.pop() else { return None };
    if group.delimiter() != Delimiter::Brace {
        return None;
    }
    let head: TokenStream = tokens.into_iter().collect();
    let of = match kind {
        Kind::Impl => syn::parse2::<ItemImpl>(quote!(#head {}))
            .ok()
            .and_then(|block| type_name(&block.self_ty)),
        Kind::Mod => None,
        Kind::Trait => word_after(&head, "trait"),
    };
    Some(Block { kind, head, of, braces: group.span(), content: group.stream() })
}

fn kind(item: &TokenStream) -> Option<Kind> {
    let skip = |input: ParseStream<'_>| {
        input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        input.parse::<TokenStream>()
    };
    for token in skip.parse2(item.clone()).ok()? {
        let TokenTree::Ident(word) = token else { return None };
        match word.to_string().as_str() {
            "impl" => return Some(Kind::Impl),
            "mod" => return Some(Kind::Mod),
            "trait" => return Some(Kind::Trait),
            "auto" | "default" | "unsafe" => {}
            _ => return None,
        }
    }
    None
}

fn word_after(head: &TokenStream, keyword: &str) -> Option<String> {
    let mut words = head
        .clone()
        .into_iter()
        .skip_while(|token| !matches!(token, TokenTree::Ident(word) if word == keyword));
    match words.nth(1) {
        Some(TokenTree::Ident(word)) => Some(word.unraw().to_string()),
        _ => None,
    }
}

/// The last word of the type's path, without generic arguments.
fn type_name(of: &Type) -> Option<String> {
    let path = match of {
        Type::Array(array) => return type_name(&array.elem),
        Type::Group(group) => return type_name(&group.elem),
        Type::Paren(paren) => return type_name(&paren.elem),
        Type::Ptr(pointer) => return type_name(&pointer.elem),
        Type::Reference(reference) => return type_name(&reference.elem),
        Type::Slice(slice) => return type_name(&slice.elem),
        Type::Path(path) => &path.path,
        Type::TraitObject(object) => object.bounds.iter().find_map(|bound| match bound {
            TypeParamBound::Trait(bound) => Some(&bound.path),
            _ => None,
        })?,
        _ => return None,
    };
    path.segments.last().map(|last| last.ident.unraw().to_string())
}

/// How the functions of a block are measured.
pub(crate) struct Measure<'a> {
    /// The attribute, and the arguments of the one on the block.
    pub(crate) word: &'static str,
    pub(crate) args: &'a mut Args,
    pub(crate) expand: Expand,
}

impl Measure<'_> {
    /// The block with its functions measured.
    pub(crate) fn block(mut self, block: &Block, errors: &mut Vec<Error>) -> TokenStream {
        let prefix = self.prefix(errors);
        let mut members = Members {
            measure: self,
            prefix,
            measured: 0,
            // The same mistake may affect each function; it is reported once.
            refused: None,
            errors,
        };
        let written = members.block(block);
        let Members { measured, refused, .. } = members;
        match refused {
            Some(refused) if measured == 0 => errors.extend(refused),
            _ => {}
        }
        written
    }

    /// The prefix of the functions' names, if it is not their module.
    fn prefix(&mut self, errors: &mut Vec<Error>) -> Option<LitStr> {
        let name = self.args.name.take()?;
        match name.literal() {
            Some(text) => Some(text.clone()),
            None => {
                let message = "on a block, `name` is the prefix of the names of its functions: \
                               write a literal, or give each function its own name";
                errors.push(Error::new_spanned(&name.expr, message));
                None
            }
        }
    }
}

struct Members<'a> {
    measure: Measure<'a>,
    prefix: Option<LitStr>,
    measured: usize,
    refused: Option<Vec<Error>>,
    errors: &'a mut Vec<Error>,
}

impl Members<'_> {
    fn block(&mut self, block: &Block) -> TokenStream {
        let parse = |input: ParseStream<'_>| {
            let mut content = TokenStream::new();
            for attribute in input.call(Attribute::parse_inner)? {
                attribute.to_tokens(&mut content);
            }
            while !input.is_empty() {
                content.extend(self.member(block, input)?);
            }
            Ok(content)
        };
        let content = parse.parse2(block.content.clone()).unwrap_or_else(|error| {
            // The compiler could parse it, so it reports no error itself.
            let message = format!(
                "`{}` cannot parse this ({error}), and measures nothing in this block; \
                 put the attribute on the functions, or move this item elsewhere",
                self.measure.word
            );
            self.errors.push(Error::new(error.span(), message));
            block.content.clone()
        });
        let mut group = Group::new(Delimiter::Brace, content);
        group.set_span(block.braces);
        let head = &block.head;
        quote!(#head #group)
    }

    fn member(&mut self, block: &Block, input: ParseStream<'_>) -> syn::Result<TokenStream> {
        let ahead = input.fork();
        if let Ok(annotated) = ahead.parse::<Annotated>() {
            let tokens = taken(input, &ahead)?;
            return Ok(self.function(block, annotated, tokens));
        }
        let ahead = input.fork();
        match block.kind {
            Kind::Impl => drop(ahead.parse::<ImplItem>()?),
            Kind::Mod => drop(ahead.parse::<Item>()?),
            Kind::Trait => drop(ahead.parse::<TraitItem>()?),
        }
        let tokens = taken(input, &ahead)?;
        match self::block(&tokens) {
            Some(inner) if block.kind == Kind::Mod => Ok(self.inner_block(inner, tokens)),
            _ => Ok(tokens),
        }
    }

    /// A block inside a module.
    fn inner_block(&mut self, mut block: Block, tokens: TokenStream) -> TokenStream {
        let read = |input: ParseStream<'_>| {
            Ok((input.call(Attribute::parse_outer)?, input.parse::<TokenStream>()?))
        };
        let Ok((mut attributes, rest)) = read.parse2(block.head.clone()) else { return tokens };
        match self.own(&mut attributes) {
            Own::None => self.block(&block),
            Own::Some => tokens,
            Own::Skip => {
                block.head = quote!(#(#attributes)* #rest);
                let mut group = Group::new(Delimiter::Brace, block.content);
                group.set_span(block.braces);
                let head = block.head;
                quote!(#head #group)
            }
        }
    }

    fn function(
        &mut self,
        block: &Block,
        mut found: Annotated,
        tokens: TokenStream,
    ) -> TokenStream {
        if self.measure.args.call.is_some() {
            found.measure_the_call();
        }
        let Annotated { mut function, body } = found;
        let name = match &block.of {
            Some(of) => format!("{of}.{}", function.name),
            None => function.name.clone(),
        };
        match self.own(&mut function.attributes) {
            Own::None => {}
            Own::Some => return self.with_own(&function, &name, body.as_ref(), tokens),
            Own::Skip => return written(&function, body.as_ref()),
        }
        let Some(body) = body else { return tokens };
        if target::unmeasurable(&function, self.measure.word).is_some() {
            return tokens;
        }
        let mut refused = Vec::new();
        target::check_args(&function, self.measure.args, &mut refused);
        if let Some(span) = target::needs_outcome(self.measure.args)
            && !names_outcome(function.output())
        {
            let message = "no function in this block returns a `Result` or an `Option`";
            refused.push(Error::new(span, message));
        }
        if !refused.is_empty() {
            self.refused.get_or_insert(refused);
            return tokens;
        }
        self.measured += 1;
        self.measure.args.name = self.named(&name);
        function.name = name;
        (self.measure.expand)(&function, &body, self.measure.args)
    }

    /// The name that begins with the prefix, if there is one.
    fn named(&mut self, name: &str) -> Option<Text> {
        let prefix = self.prefix.as_ref()?;
        let whole = format!("{}.{name}", prefix.value());
        if let Some(problem) = check::name_problem(&whole) {
            let message = format!("the name `{whole}` {problem}");
            self.errors.push(Error::new(prefix.span(), message));
            return None;
        }
        Some(Text::of_literal(&LitStr::new(&whole, prefix.span())))
    }

    /// Finds the attribute among those of a member, and removes one with `skip`.
    fn own(&mut self, attributes: &mut Vec<Attribute>) -> Own {
        let mut skips = false;
        let word = self.measure.word;
        attributes.retain(|attribute| {
            let said = if is_own(attribute, word) { words(attribute) } else { Vec::new() };
            let is_skip = said.iter().any(|said| said == "skip");
            if is_skip && said.len() > 1 {
                let message = "`skip` excludes this item; remove `skip` or the other arguments";
                self.errors.push(Error::new_spanned(&attribute.meta, message));
            }
            skips |= is_skip;
            !is_skip
        });
        let owns = attributes
            .iter()
            .find(|attribute| is_own(attribute, word) || is_own_conditionally(attribute, word));
        match owns {
            Some(own) if skips => {
                let message = format!(
                    "another `{word}` here says `skip`, which excludes this item; keep one of them"
                );
                self.errors.push(Error::new_spanned(own, message));
                Own::Some
            }
            Some(_) => Own::Some,
            None if skips => Own::Skip,
            None => Own::None,
        }
    }

    /// A function whose own attributes get its default name.
    fn with_own(
        &self,
        function: &Function,
        name: &str,
        body: Option<&Body>,
        tokens: TokenStream,
    ) -> TokenStream {
        let word = self.measure.word;
        let mut told = function.clone();
        for attribute in told.attributes.iter_mut().filter(|attribute| is_own(attribute, word)) {
            let path = attribute.path();
            let args = match &attribute.meta {
                Meta::List(list) => list.tokens.clone(),
                Meta::Path(_) => TokenStream::new(),
                Meta::NameValue(_) => return tokens,
            };
            let comma = (!args.is_empty() && !ends_in_comma(&args)).then(|| quote!(,));
            let meta = quote!(#path(#args #comma __called = #name));
            match syn::parse2(meta) {
                Ok(meta) => attribute.meta = meta,
                Err(_) => return tokens,
            }
        }
        written(&told, body)
    }
}

/// Whether a return type is named `Result` or `Option`; a macro cannot see more.
fn names_outcome(output: Option<&Type>) -> bool {
    let Some(Type::Path(TypePath { qself: None, path, .. })) = output else { return false };
    let mut segments = path.segments.iter().map(|segment| &segment.ident);
    // An associated type can be anything, whatever its name is.
    segments.next().is_some_and(|first| first != "Self")
        && path.segments.last().is_some_and(|last| last.ident == "Option" || last.ident == "Result")
}

/// Whether a member has the attribute itself.
enum Own {
    None,
    Skip,
    Some,
}

fn is_own(attribute: &Attribute, word: &str) -> bool {
    attribute.path().segments.last().is_some_and(|last| last.ident == word)
}

/// `cfg_attr(condition, time_me(..))`
fn is_own_conditionally(attribute: &Attribute, word: &str) -> bool {
    let Meta::List(list) = &attribute.meta else { return false };
    let says = |token: TokenTree| matches!(token, TokenTree::Ident(said) if said == word);
    attribute.path().is_ident("cfg_attr") && list.tokens.clone().into_iter().any(says)
}

/// The arguments, as texts.
fn words(attribute: &Attribute) -> Vec<String> {
    let Meta::List(list) = &attribute.meta else { return Vec::new() };
    let tokens: Vec<_> = list.tokens.clone().into_iter().collect();
    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == ',');
    let text = |entry: &[TokenTree]| entry.iter().cloned().collect::<TokenStream>().to_string();
    tokens.split(is_comma).map(text).filter(|word| !word.is_empty()).collect()
}

fn ends_in_comma(args: &TokenStream) -> bool {
    let last = args.clone().into_iter().last();
    matches!(last, Some(TokenTree::Punct(last)) if last.as_char() == ',')
}

/// The unchanged function.
fn written(function: &Function, body: Option<&Body>) -> TokenStream {
    let head = function.head();
    match body {
        Some(body) => {
            let body = &body.whole;
            quote!(#head #body)
        }
        None => quote!(#head;),
    }
}

/// Removes from `input` the tokens that were parsed from its fork.
fn taken(input: ParseStream<'_>, ahead: ParseStream<'_>) -> syn::Result<TokenStream> {
    let mut tokens = TokenStream::new();
    while input.cursor() != ahead.cursor() {
        tokens.extend([TokenTree::parse(input)?]);
    }
    Ok(tokens)
}
