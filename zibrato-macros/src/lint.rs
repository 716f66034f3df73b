//! The function for Clippy: as it was written.
//!
//! Many lints depend on the structure of a body. In a body that is wrapped in a closure, some lints
//! fire that would not in the original, and some that `expect` waits for do not. So under
//! `cfg(clippy)` the measured item is replaced by the original. Nothing runs in such a build, and
//! no `allow` is needed, which would be an error under a `forbid`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, Path};

use crate::annotate;
use crate::args::Args;
use crate::body::Body;
use crate::expand;
use crate::function::{Function, Output};
use crate::measure::{self, Expand};
use crate::place::{Kind, Place};
use crate::scope::ends_at_its_end;
use crate::spans::{here, private, private_at};
use crate::tags::Tag;
use crate::text::Text;

/// `measured`, which Clippy sees as `linted`.
pub(crate) fn instead(
    krate: Option<&Path>,
    linted: &TokenStream,
    measured: &TokenStream,
) -> TokenStream {
    let replace = private(krate, "linted", None::<&Expr>);
    let attribute = quote_spanned!(here()=> #[cfg_attr(clippy, #replace(#linted))]);
    quote!(#attribute #measured)
}

/// The writer of the function that Clippy sees.
pub(crate) fn form(word: &str) -> Expand {
    match word {
        "annotate_me" => annotated,
        "count_me" => counted,
        "histogram_me" => sized,
        _ => timed,
    }
}

fn annotated(function: &Function, body: &Body, args: &Args) -> TokenStream {
    let draft = annotate::of_function(function, args);
    expand::flat(function, body, &quote_spanned!(here()=> let _ = #draft;))
}

fn counted(function: &Function, body: &Body, args: &Args) -> TokenStream {
    shown(function, body, args, || {
        expand::count(&Place::of(Kind::Counter, function, args), args.value.as_ref())
    })
}

fn sized(function: &Function, body: &Body, args: &Args) -> TokenStream {
    shown(function, body, args, || {
        let value = args.value.as_ref().filter(|_| args.reading().is_none());
        expand::count(&Place::of(Kind::Histogram, function, args), value)
    })
}

fn timed(function: &Function, body: &Body, args: &Args) -> TokenStream {
    shown(function, body, args, || {
        let guard = expand::time(&Place::of(Kind::Timer, function, args));
        quote_spanned!(here()=> let __zibrato_time = #guard;)
    })
}

/// The unchanged function. If the attribute's arguments use variables or constants, `first` is put
/// in front, so that they are not reported as unused.
fn shown(
    function: &Function,
    body: &Body,
    args: &Args,
    first: impl FnOnce() -> TokenStream,
) -> TokenStream {
    let texts = [args.level.as_ref(), args.name.as_ref(), args.source.as_ref(), args.unit.as_ref()];
    let texts = texts.into_iter().flatten().chain(args.tags.iter().filter_map(Tag::fixed));
    let levels = || args.scope.levels().filter(|level| !level.is_literal);
    let is_literal = |text: &Text| text.is_literal;
    let is_plain = { texts }.all(is_literal)
        && args.tags.iter().all(|tag| tag.fixed().is_some())
        && levels().next().is_none()
        && args.on.as_ref().is_none_or(|on| on.look.is_none())
        && args.krate.is_none()
        && args.value.as_ref().is_none_or(|value| matches!(value, Expr::Lit(_)));
    if is_plain {
        return measure::unmeasured(function, body, args);
    }
    let first = first();
    let levels = levels().map(|level| &level.expr);
    let looks = looks(function, args);
    expand::flat(function, body, &quote_spanned!(here()=> #(let _ = #levels;)* #looks #first))
}

/// What the closures over the result say, of a result that there never is. They are no closures here: Clippy
/// would replace one that only calls a function by the function, which the attribute does not take.
fn looks(function: &Function, args: &Args) -> TokenStream {
    let Output { tokens, is_whole: true, .. } = Output::of(function) else {
        return TokenStream::new();
    };
    let looked = private_at(args.krate.as_ref(), &["looked"], here(), here());
    let on = args.on.as_ref().and_then(|on| on.look.as_ref());
    let closures = args.tags.iter().filter_map(Tag::late).chain(on).chain(args.reading());
    // What leaves the closure would leave the function.
    let closures = closures.filter(|closure| ends_at_its_end(&closure.body.to_token_stream()));
    let (inputs, bodies): (Vec<_>, Vec<_>) =
        closures.map(|closure| (&closure.inputs, &closure.body)).unzip();
    quote_spanned!(here()=>
        #(if let ::core::option::Option::Some(__zibrato_result) =
            ::core::option::Option::<#tokens>::None
        {
            let #inputs = &__zibrato_result;
            #looked(#bodies);
        })*
    )
}
