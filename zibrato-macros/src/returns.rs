//! Decides whether a function returns a future, from its return type.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::{
    AngleBracketedGenericArguments, GenericArgument, GenericParam, PathArguments, Signature, Token,
    Type, TypeInfer, TypeParamBound, TypePath,
};

use crate::erase::erase_impl_trait;
use crate::spans::is_mentioned;

/// The result.
#[derive(Clone, Copy)]
pub(crate) enum Returns {
    /// Not a future, or one that cannot be measured.
    Value,
    /// `impl Future`.
    Future,
    /// `Pin<Box<dyn Future>>`, or a well-known alias of it.
    Pinned,
    /// `Box<dyn Future + Unpin>`.
    Boxed,
    /// A type that may be a future, of a function whose body seems to create one: the compiler
    /// decides.
    Perhaps,
    /// A type that may be a future: the compiler warns if it is one, because it is not measured.
    Unlikely,
    /// A future with further traits, such as `impl FusedFuture`, or one inside another type: only
    /// the call is measured, and the compiler warns.
    Unwrappable,
}

/// Traits of futures that the wrapper of a future implements too.
const FUTURES: [&str; 3] = ["Future", "IntoFuture", "TryFuture"];

/// Traits that it implements if the future does.
const KEPT: [&str; 6] = ["RefUnwindSafe", "Send", "Sized", "Sync", "Unpin", "UnwindSafe"];

/// Types that are not futures, by their last word; names that end in `Result` are not either. The
/// task of a `JoinHandle` runs whether the handle is polled or not.
const VALUES: [&str; 38] = [
    "Arc",
    "BTreeMap",
    "BTreeSet",
    "Box",
    "Bytes",
    "Cow",
    "Duration",
    "HashMap",
    "HashSet",
    "Instant",
    "JoinHandle",
    "Option",
    "Ordering",
    "Path",
    "PathBuf",
    "Poll",
    "Rc",
    "Self",
    "String",
    "SystemTime",
    "Vec",
    "VecDeque",
    "bool",
    "char",
    "f32",
    "f64",
    "i128",
    "i16",
    "i32",
    "i64",
    "i8",
    "isize",
    "str",
    "u16",
    "u32",
    "u64",
    "u8",
    "usize",
];

impl Returns {
    /// Checks the return type and, if that is inconclusive, the body.
    pub(crate) fn of(signature: &Signature, output: &Type, body: &TokenStream) -> Self {
        match output {
            Type::Group(group) => Self::of(signature, &group.elem, body),
            Type::Paren(paren) => Self::of(signature, &paren.elem, body),
            Type::Path(path) => match boxed(path) {
                Some(boxed) => boxed,
                None if holds_future(output) => Self::Unwrappable,
                // The compiler does not know a partly hidden type in time.
                None if is_value(signature, path) || !erase_impl_trait(output).1 => Self::Value,
                None if looks_like_future(path, body) => Self::Perhaps,
                // The check contains a `return`, so the compiler would not notice that the function
                // never returns.
                None if is_mentioned(&signature.ident, body.clone()) => Self::Value,
                None => Self::Unlikely,
            },
            _ if is_future(output) => Self::Future,
            _ if holds_future(output) => Self::Unwrappable,
            _ => Self::Value,
        }
    }

    /// Whether the returned value is measured as a future.
    pub(crate) const fn is_measured(self) -> bool {
        match self {
            Self::Future | Self::Pinned | Self::Boxed | Self::Perhaps => true,
            Self::Value | Self::Unlikely | Self::Unwrappable => false,
        }
    }

    /// Whether the compiler has to check.
    pub(crate) const fn is_unlikely(self) -> bool {
        matches!(self, Self::Unlikely)
    }

    /// Whether the type is certainly a future.
    pub(crate) const fn is_future(self) -> bool {
        match self {
            Self::Future | Self::Pinned | Self::Boxed => true,
            Self::Perhaps | Self::Value | Self::Unlikely | Self::Unwrappable => false,
        }
    }

    /// Whether the type contains a future that is not measured.
    pub(crate) const fn is_unwrappable(self) -> bool {
        matches!(self, Self::Unwrappable)
    }
}

/// A future in a box.
fn boxed(path: &TypePath) -> Option<Returns> {
    let last = path.path.segments.last()?;
    let mut arguments = types(&last.arguments);
    match last.ident.to_string().as_str() {
        "BoxFuture" | "LocalBoxFuture" => Some(Returns::Pinned),
        "Pin" => {
            let Type::Path(inner) = arguments.next()? else { return None };
            let inner = inner.path.segments.last().filter(|inner| inner.ident == "Box")?;
            types(&inner.arguments).any(is_future).then_some(Returns::Pinned)
        }
        // Any other box must be pinned to be a future.
        "Box" if arguments.any(|of| is_future(of) && is_unpin(of)) => Some(Returns::Boxed),
        _ => None,
    }
}

fn is_value(signature: &Signature, path: &TypePath) -> bool {
    let Some(last) = path.path.segments.last() else { return true };
    let word = last.ident.to_string();
    let is_parameter = signature.generics.params.iter().any(
        |parameter| matches!(parameter, GenericParam::Type(it) if path.path.is_ident(&it.ident)),
    );
    path.qself.is_none()
        && (is_parameter || word.ends_with("Result") || VALUES.contains(&word.as_str()))
}

fn looks_like_future(path: &TypePath, body: &TokenStream) -> bool {
    let last = path.path.segments.last();
    let says_so = |word: &str| word.contains("Fut") || word.contains("Box");
    last.is_some_and(|last| says_so(&last.ident.to_string())) || makes_future(body.clone())
}

/// Whether the code contains a word that creates a future.
fn makes_future(code: TokenStream) -> bool {
    code.into_iter().any(|token| match token {
        TokenTree::Ident(word) => {
            ["async", "boxed", "boxed_local", "pin"].iter().any(|other| word == other)
        }
        TokenTree::Group(group) => makes_future(group.stream()),
        TokenTree::Literal(_) | TokenTree::Punct(_) => false,
    })
}

/// Whether it is an `impl` or `dyn` of a future without traits that a wrapper would lose, judging
/// by the names of the traits.
fn is_future(of: &Type) -> bool {
    let mut names = bounds(of).filter_map(trait_name);
    let is_kept = |name: &String| FUTURES.contains(&name.as_str()) || KEPT.contains(&name.as_str());
    names.clone().all(|name| is_kept(&name))
        && names.any(|name| FUTURES.contains(&name.as_str()))
        && !bounds(of).any(names_into_future)
}

fn is_unpin(of: &Type) -> bool {
    bounds(of).filter_map(trait_name).any(|name| name == "Unpin")
}

/// The bounds of an `impl` or `dyn`; none for other types.
fn bounds(of: &Type) -> impl Iterator<Item = &TypeParamBound> + Clone {
    let bounds = match of {
        Type::ImplTrait(of) => Some(&of.bounds),
        Type::TraitObject(of) => Some(&of.bounds),
        _ => None,
    };
    bounds.into_iter().flatten()
}

/// The last word of a trait; `None` for other bounds.
fn trait_name(bound: &TypeParamBound) -> Option<String> {
    let TypeParamBound::Trait(bound) = bound else { return None };
    bound.path.segments.last().map(|last| last.ident.to_string())
}

/// Whether it is `IntoFuture<IntoFuture = ..>`, which fixes the type of the future.
fn names_into_future(bound: &TypeParamBound) -> bool {
    let TypeParamBound::Trait(bound) = bound else { return false };
    let arguments = bound.path.segments.last().and_then(|last| angles(&last.arguments));
    arguments.into_iter().flat_map(|arguments| &arguments.args).any(
        |argument| matches!(argument, GenericArgument::AssocType(it) if it.ident == "IntoFuture"),
    )
}

/// Whether it contains a future, judging by the names of traits and types. Values of closures and
/// iterators are created later, by other calls.
fn holds_future(of: &Type) -> bool {
    match of {
        Type::Array(array) => holds_future(&array.elem),
        Type::Group(group) => holds_future(&group.elem),
        Type::Paren(paren) => holds_future(&paren.elem),
        // A future behind any other reference cannot be polled.
        Type::Reference(reference) => {
            reference.mutability.is_some() && holds_future(&reference.elem)
        }
        Type::Slice(slice) => holds_future(&slice.elem),
        Type::Tuple(tuple) => tuple.elems.iter().any(holds_future),
        Type::ImplTrait(_) | Type::TraitObject(_) => {
            bounds(of).filter_map(trait_name).any(|name| name.ends_with("Future"))
        }
        Type::Path(path) => path.path.segments.last().is_some_and(|last| {
            last.ident == "BoxFuture"
                || last.ident == "LocalBoxFuture"
                || types(&last.arguments).any(holds_future)
        }),
        _ => false,
    }
}

/// The output of a future of this type; `_` if it is not visible.
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
