//! Whether a function returns a future, as far as its return type tells.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::{
    AngleBracketedGenericArguments, GenericArgument, GenericParam, PathArguments, Signature, Token,
    Type, TypeInfer, TypeParamBound, TypePath,
};

use crate::erase::erase_impl_trait;
use crate::expand::is_mentioned;

/// What the return type says.
#[derive(Clone, Copy)]
pub(crate) enum Returns {
    /// No future, or nothing that could be measured as one.
    Value,
    /// `impl Future`.
    Future,
    /// `Pin<Box<dyn Future>>`, or an alias of it that is known by its name.
    Pinned,
    /// `Box<dyn Future + Unpin>`.
    Boxed,
    /// A type that may be a future, of a function that looks as if it made one: the compiler
    /// decides.
    Perhaps,
    /// A type that may be a future: where it is not measured, the compiler warns.
    Unlikely,
}

/// Types that are no futures, by their last word; so is whatever ends in `Result`. What is behind a
/// `JoinHandle` runs whether that is polled or not.
const VALUES: [&str; 37] = [
    "Arc",
    "BTreeMap",
    "BTreeSet",
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
    /// Looks at the return type, and where that does not tell, at the body.
    pub(crate) fn of(signature: &Signature, output: &Type, body: &TokenStream) -> Self {
        match output {
            Type::Group(group) => Self::of(signature, &group.elem, body),
            Type::Paren(paren) => Self::of(signature, &paren.elem, body),
            Type::Path(path) => match boxed(path) {
                Some(boxed) => boxed,
                // Of a type that is partly hidden, the compiler knows too little in time.
                None if is_value(signature, path) || !erase_impl_trait(output).1 => Self::Value,
                None if looks_like_future(path, body) => Self::Perhaps,
                // The check has a return in it, so that nobody would see that this has none.
                None if is_mentioned(&signature.ident, body.clone()) => Self::Value,
                None => Self::Unlikely,
            },
            _ if is_future(output) => Self::Future,
            _ => Self::Value,
        }
    }

    /// Whether what is returned is measured as a future.
    pub(crate) const fn is_measured(self) -> bool {
        match self {
            Self::Future | Self::Pinned | Self::Boxed | Self::Perhaps => true,
            Self::Value | Self::Unlikely => false,
        }
    }

    /// Whether the compiler has to look, if nothing else does.
    pub(crate) const fn is_unlikely(self) -> bool {
        matches!(self, Self::Unlikely)
    }

    /// Whether that is said by the type.
    pub(crate) const fn is_future(self) -> bool {
        match self {
            Self::Future | Self::Pinned | Self::Boxed => true,
            Self::Perhaps | Self::Value | Self::Unlikely => false,
        }
    }
}

/// A future in a box; any other box is a value.
fn boxed(path: &TypePath) -> Option<Returns> {
    let last = path.path.segments.last()?;
    let mut arguments = types(&last.arguments);
    match last.ident.to_string().as_str() {
        "BoxFuture" | "LocalBoxFuture" => Some(Returns::Pinned),
        "Pin" => {
            let Type::Path(inner) = arguments.next()? else { return None };
            matches!(boxed(inner)?, Returns::Boxed).then_some(Returns::Pinned)
        }
        "Box" if arguments.any(is_future) => Some(Returns::Boxed),
        "Box" => Some(Returns::Value),
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

/// Whether there is a word in the code that makes a future.
fn makes_future(code: TokenStream) -> bool {
    code.into_iter().any(|token| match token {
        TokenTree::Ident(word) => {
            ["async", "boxed", "boxed_local", "pin"].iter().any(|other| word == other)
        }
        TokenTree::Group(group) => makes_future(group.stream()),
        TokenTree::Literal(_) | TokenTree::Punct(_) => false,
    })
}

/// Whether it is an `impl` or `dyn` of a future, by the name of the trait: `TryFuture` too.
fn is_future(of: &Type) -> bool {
    let bounds = match of {
        Type::ImplTrait(object) => &object.bounds,
        Type::TraitObject(object) => &object.bounds,
        _ => return false,
    };
    bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            let last = bound.path.segments.last();
            last.is_some_and(|last| last.ident.to_string().ends_with("Future"))
        }
        _ => false,
    })
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
