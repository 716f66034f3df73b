//! The tags of a call site: fixed ones are written into it, the others choose a site of a family.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};

use crate::place::Place;
use crate::spans::{ends, here, hidden, private, private_at};
use crate::tags::{Tag, Value};

/// What stands in the place, ascending by tag: what was given, and one of ours.
pub(crate) fn fixed_tags(tags: &[Tag], ours: Option<(&'static str, &str)>) -> TokenStream {
    let given = tags.iter().filter_map(|tag| {
        Some((tag.key.to_token_stream(), tag.key.value(), tag.fixed()?.expr.to_token_stream()))
    });
    let ours = ours.map(|(key, value)| {
        (quote_spanned!(here()=> #key), key.to_owned(), quote_spanned!(here()=> #value))
    });
    let mut pairs: Vec<_> = given.chain(ours).collect();
    pairs.sort_by(|one, other| one.1.cmp(&other.1));
    let pairs = pairs.iter().map(|(key, _, value)| quote_spanned!(here()=> (#key, #value)));
    quote_spanned!(here()=> &[#(#pairs),*])
}

/// A family of sites like `like`, and which of them is meant; `None` if one site does.
pub(crate) fn family(place: &Place<'_>, like: &TokenStream) -> Option<TokenStream> {
    let chosen = place.tags.iter().filter_map(|tag| match &tag.value {
        Value::Fixed(_) => None,
        Value::Chosen(expr) => Some((&tag.key, expr)),
    });
    let (keys, values): (Vec<_>, Vec<_>) = chosen.unzip();
    if keys.is_empty() {
        return None;
    }
    let family = private(place.krate, "Family", None::<&syn::Type>);
    let new = private_at(place.krate, &["Family", "new"], here(), here());
    let at = private_at(place.krate, &["Family", "at"], here(), here());
    let values = values.iter().map(|value| {
        // Where its type is no tag's, the caret belongs under it.
        let tag = private(place.krate, "tag", Some(value));
        let (_, to) = ends(value);
        quote_spanned!(hidden(to)=> #tag(&(#value)))
    });
    let values = quote!(#(#values,)*);
    Some(quote_spanned!(here()=> {
        static __ZIBRATO_SITES: #family = #new(#like, &[#(#keys),*]);
        #at(&__ZIBRATO_SITES, (#values))
    }))
}
