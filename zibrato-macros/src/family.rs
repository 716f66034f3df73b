//! The tags of a call site: fixed ones are written into it, the others choose a site of a family.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{Expr, LitStr, Path};

use crate::place::Place;
use crate::spans::{ends, here, hidden, private, private_at};
use crate::text::Text;

/// What stands in the place, ascending by tag: what was given, and one of ours.
pub(crate) fn fixed_tags(place: &Place<'_>) -> TokenStream {
    let given = place.tags.iter().filter_map(|tag| {
        let value = constant(place.krate, &tag.fixed()?.expr);
        Some((tag.key.to_token_stream(), tag.key.value(), value))
    });
    let ours = place.tag;
    let ours = ours.map(|(key, value)| {
        (quote_spanned!(here()=> #key), key.to_owned(), quote_spanned!(here()=> #value))
    });
    let mut pairs: Vec<_> = given.chain(ours).collect();
    pairs.sort_by(|one, other| one.1.cmp(&other.1));
    let pairs = pairs.iter().map(|(key, _, value)| quote_spanned!(here()=> (#key, #value)));
    quote_spanned!(here()=> &[#(#pairs),*])
}

/// The text of a constant, which may be a number.
fn constant(krate: Option<&Path>, value: &Expr) -> TokenStream {
    let Expr::Path(path) = value else { return value.to_token_stream() };
    // Where its type is not one that the compiler can write, the caret belongs under it.
    let (_, to) = ends(path);
    let method = Ident::new("__zibrato_text", hidden(to));
    let [constant, text] =
        ["constant", "ConstantText"].map(|word| private(krate, word, Some(path)));
    quote_spanned!(hidden(to)=> {
        static __ZIBRATO_TEXT: #text = #constant(#path).#method();
        #text::as_str(&__ZIBRATO_TEXT)
    })
}

/// The value of a tag. Where its type is no tag's, the caret belongs under `about`.
pub(crate) fn tag_value(
    krate: Option<&Path>,
    value: &impl ToTokens,
    about: &impl ToTokens,
) -> TokenStream {
    let tag = private(krate, "tag", Some(about));
    let (_, to) = ends(about);
    let method = Ident::new("__zibrato_tag", hidden(to));
    quote_spanned!(hidden(to)=> #tag(&(#value)).#method())
}

/// A call site whose series depends on the call.
pub(crate) struct Family<'a> {
    place: &'a Place<'a>,
    keys: Vec<&'a LitStr>,
    values: Vec<&'a Expr>,
    name: Option<&'a Text>,
}

impl<'a> Family<'a> {
    /// `None` if one site does.
    pub(crate) fn of(place: &'a Place<'_>) -> Option<Self> {
        let family = Self::at_the_call(place);
        (!family.keys.is_empty() || family.name.is_some()).then_some(family)
    }

    /// The family whose tags are known when the call begins.
    pub(crate) fn at_the_call(place: &'a Place<'_>) -> Self {
        let chosen = place.tags.iter().filter_map(|tag| Some((&tag.key, tag.chosen()?)));
        let (keys, values) = chosen.unzip();
        let name = place.name.filter(|name| name.is_run_time);
        Self { place, keys, values, name }
    }

    /// The family that also has the tags over the result.
    pub(crate) fn at_the_end(place: &'a Place<'_>) -> Self {
        let mut family = Self::at_the_call(place);
        let late = place.tags.iter().filter(|tag| tag.late().is_some());
        family.keys.extend(late.map(|tag| &tag.key));
        family
    }

    fn private(&self, words: &[&str]) -> TokenStream {
        private_at(self.place.krate, words, here(), here())
    }

    /// The values of its tags.
    pub(crate) fn values(&self) -> TokenStream {
        let values = self.values.iter().map(|value| tag_value(self.place.krate, value, value));
        quote_spanned!(here()=> (#(#values,)*))
    }

    /// A reference to the family.
    pub(crate) fn reference(&self, like: &TokenStream) -> TokenStream {
        let sites = self.sites(like);
        quote_spanned!(here()=> {
            #sites
            &__ZIBRATO_SITES
        })
    }

    /// The static of a family of sites like `like`.
    fn sites(&self, like: &TokenStream) -> TokenStream {
        let family = private(self.place.krate, "Family", None::<&syn::Type>);
        let new = self.private(&["Family", if self.name.is_some() { "named" } else { "new" }]);
        let keys = &self.keys;
        let most = self.place.max_series;
        let most = most.map_or_else(|| quote_spanned!(here()=> 0), ToTokens::to_token_stream);
        quote_spanned!(here()=>
            static __ZIBRATO_SITES: #family = #new(#like, &[#(#keys),*], #most);
        )
    }

    /// What is called with the family, with the values of its tags, and with `more`, unless its name
    /// has to be made.
    pub(crate) fn call(
        &self,
        like: &TokenStream,
        words: &[&str],
        more: Option<&TokenStream>,
    ) -> Option<TokenStream> {
        if self.name.is_some() {
            return None;
        }
        let (sites, values, called) = (self.sites(like), self.values(), self.private(words));
        let more = more.map(|more| quote_spanned!(here()=> , #more));
        Some(quote_spanned!(here()=> {
            #sites
            #called(&__ZIBRATO_SITES, #values #more)
        }))
    }

    /// Which of its series is meant.
    pub(crate) fn target(&self, like: &TokenStream) -> TokenStream {
        let (sites, values) = (self.sites(like), self.values());
        let Some(name) = self.name else {
            let at = self.private(&["Family", "at"]);
            return quote_spanned!(here()=> {
                #sites
                #at(&__ZIBRATO_SITES, #values)
            });
        };
        let (at, nowhere) =
            (self.private(&["Family", "at_name"]), self.private(&["Target", "Nowhere"]));
        let is_measured = self.private(&["Family", "is_measured"]);
        let given = &name.expr;
        // Where its type is no text's, the caret belongs under it.
        let to_name = private(self.place.krate, "name", Some(given));
        let (_, to) = ends(given);
        let name = quote_spanned!(hidden(to)=> #to_name(&(#given)));
        quote_spanned!(here()=> {
            #sites
            if #is_measured(&__ZIBRATO_SITES) {
                #at(&__ZIBRATO_SITES, #name, #values)
            } else {
                #nowhere
            }
        })
    }
}
