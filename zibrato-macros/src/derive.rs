//! `#[derive(TagValue)]`: an enum without fields, whose variants are the values of a tag.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Fields, Item, LitStr, MetaList, Path, Variant};

use crate::check;
use crate::root;

pub(crate) fn tag_value(item: TokenStream) -> TokenStream {
    let mut errors = Vec::new();
    let derived = syn::parse2(item).and_then(|item| derived(&item, &mut errors));
    match derived {
        Ok(derived) if errors.is_empty() => derived,
        Ok(_) => errors.iter().map(crate::hint::refusal).collect(),
        Err(error) => crate::hint::refusal(&error),
    }
}

fn derived(item: &Item, errors: &mut Vec<Error>) -> syn::Result<TokenStream> {
    let Item::Enum(item) = item else {
        let message =
            "`TagValue` can only be derived for enums, because a tag has one of few values";
        return Err(Error::new(Span::call_site(), message));
    };
    let here = Span::mixed_site();
    let krate = Said::read(&item.attrs, "crate", errors).krate;
    if krate.is_none() {
        errors.extend(root::missing(|path| format!("#[tag(crate = {path})]")));
    }
    let root = krate.map_or_else(|| quote!(::zibrato), ToTokens::into_token_stream);
    let names: Vec<_> = item.variants.iter().map(|variant| name(variant, errors)).collect();
    for (i, name) in names.iter().enumerate() {
        if names.iter().take(i).any(|other| other.value() == name.value()) {
            let message = format!("two variants have the value `{}`", name.value());
            errors.push(Error::new(name.span(), message));
        }
    }
    let arms = item.variants.iter().enumerate().map(|(index, variant)| {
        let variant = &variant.ident;
        quote_spanned!(here=> Self::#variant => #index,)
    });
    let (generics, arguments, bounds) = item.generics.split_for_impl();
    let ident = &item.ident;
    let body = if item.variants.is_empty() {
        quote_spanned!(here=> match *self {})
    } else {
        quote_spanned!(here=> match self { #(#arms)* })
    };
    Ok(quote_spanned!(here=>
        #[automatically_derived]
        impl #generics #root::__private::TagValue for #ident #arguments #bounds {
            const VALUES: &'static [&'static ::core::primitive::str] = &[#(#names),*];

            #[inline]
            fn index(&self) -> ::core::primitive::usize {
                #body
            }
        }
    ))
}

/// The name of a value, with the span of the token that gives it.
fn name(variant: &Variant, errors: &mut Vec<Error>) -> LitStr {
    if !matches!(variant.fields, Fields::Unit) {
        let message = "a variant with fields has unlimited values, and a tag has few; \
                       derive `TagValue` for an enum without fields";
        errors.push(Error::new(variant.fields.span(), message));
    }
    let said = Said::read(&variant.attrs, "value", errors);
    let ident = &variant.ident;
    let name = said
        .value
        .unwrap_or_else(|| LitStr::new(&snake_case(&ident.unraw().to_string()), ident.span()));
    if let Some(problem) = check::name_problem(&name.value()) {
        errors.push(Error::new(name.span(), format!("the value of a tag {problem}")));
    }
    name
}

/// The arguments of `#[tag(..)]`.
#[derive(Default)]
struct Said {
    krate: Option<Path>,
    value: Option<LitStr>,
}

impl Said {
    fn read(attributes: &[Attribute], word: &str, errors: &mut Vec<Error>) -> Self {
        let mut said = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("tag")) {
            let example = if word == "value" { "value = \"5xx\"" } else { "crate = path" };
            let is_named = |list: &MetaList| {
                let first = list.tokens.clone().into_iter().next();
                matches!(first, None | Some(TokenTree::Ident(_)))
            };
            if !attribute.meta.require_list().is_ok_and(is_named) {
                let message = format!("write `#[tag({example})]`");
                errors.push(Error::new(attribute.meta.span(), message));
                continue;
            }
            let read = attribute.parse_nested_meta(|meta| {
                if !meta.path.is_ident(word) {
                    return Err(meta.error(format!("only `{example}` is accepted here")));
                }
                let value = meta.value()?;
                if word == "value" {
                    said.value = Some(value.parse()?);
                } else {
                    said.krate = Some(value.call(Path::parse_mod_style)?);
                }
                Ok(())
            });
            errors.extend(read.err());
        }
        said
    }
}

/// `NotFound` is `not_found`, and `HTTPError` `http_error`.
fn snake_case(word: &str) -> String {
    let letters: Vec<char> = word.chars().collect();
    let mut snake = String::new();
    for (i, &letter) in letters.iter().enumerate() {
        let before = i.checked_sub(1).map(|before| letters[before]);
        let ends_word = before.is_some_and(|before| before.is_lowercase() || before.is_numeric());
        let begins_word = before.is_some_and(char::is_uppercase)
            && letters.get(i + 1).is_some_and(|after| after.is_lowercase());
        if letter.is_uppercase() && (ends_word || begins_word) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn variants_are_called_in_snake_case() {
        for (word, snake) in [
            ("Get", "get"),
            ("NotFound", "not_found"),
            ("HTTPError", "http_error"),
            ("Http2Push", "http2_push"),
            ("A", "a"),
            ("Élan", "élan"),
            ("Not_Found", "not_found"),
        ] {
            assert_eq!(snake_case(word), snake);
        }
    }
}
