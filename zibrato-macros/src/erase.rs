//! Converts a return type to one that can be written inside the body: every `impl Trait` becomes
//! `_`, and so does every macro call, which may expand to one.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{
    GenericArgument, ParenthesizedGenericArguments, Path, PathArguments, ReturnType, Token, Type,
    TypeInfer, TypeParamBound,
};

/// The type, and whether nothing was replaced.
pub(crate) fn erase_impl_trait(output: &Type) -> (TokenStream, bool) {
    let mut erased = output.clone();
    erase(&mut erased);
    let tokens = erased.into_token_stream();
    let is_whole = tokens.to_string() == output.to_token_stream().to_string();
    (tokens, is_whole)
}

fn erase(of: &mut Type) {
    match of {
        Type::ImplTrait(bounds) => *of = inferred(bounds.impl_token.span),
        // The macro may expand to an `impl Trait`, or to a type that contains one.
        Type::Macro(call) => *of = inferred(call.mac.bang_token.spans[0]),
        Type::Array(array) => erase(&mut array.elem),
        Type::FnPtr(function) => {
            function.inputs.iter_mut().for_each(|input| erase(&mut input.ty));
            erase_output(&mut function.output);
        }
        Type::Group(group) => erase(&mut group.elem),
        Type::Paren(paren) => erase(&mut paren.elem),
        Type::Ptr(pointer) => erase(&mut pointer.elem),
        Type::Reference(reference) => erase(&mut reference.elem),
        Type::Slice(slice) => erase(&mut slice.elem),
        Type::TraitObject(object) => object.bounds.iter_mut().for_each(erase_bound),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(erase),
        Type::Path(path) => {
            if let Some(of) = &mut path.qself {
                erase(&mut of.ty);
            }
            erase_path(&mut path.path);
        }
        _ => {}
    }
}

fn inferred(span: Span) -> Type {
    Type::Infer(TypeInfer { attrs: Vec::new(), underscore_token: Token![_](span) })
}

fn erase_bound(bound: &mut TypeParamBound) {
    if let TypeParamBound::Trait(bound) = bound {
        erase_path(&mut bound.path);
    }
}

fn erase_path(path: &mut Path) {
    for segment in &mut path.segments {
        match &mut segment.arguments {
            PathArguments::None => {}
            PathArguments::AngleBracketed(arguments) => {
                arguments.args.iter_mut().for_each(erase_argument);
            }
            PathArguments::Parenthesized(ParenthesizedGenericArguments {
                inputs, output, ..
            }) => {
                inputs.iter_mut().for_each(|input| erase(&mut input.ty));
                erase_output(output);
            }
        }
    }
}

fn erase_argument(argument: &mut GenericArgument) {
    match argument {
        GenericArgument::Type(argument) => erase(argument),
        GenericArgument::AssocType(known) => erase(&mut known.ty),
        GenericArgument::Constraint(known) => known.bounds.iter_mut().for_each(erase_bound),
        _ => {}
    }
}

fn erase_output(output: &mut ReturnType) {
    if let ReturnType::Type(_, output) = output {
        erase(output);
    }
}
