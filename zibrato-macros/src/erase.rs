//! A return type that can be written inside the body: every `impl Trait` in it becomes `_`.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{GenericArgument, PathArguments, Token, Type, TypeInfer};

pub(crate) fn erase_impl_trait(output: &Type) -> TokenStream {
    let mut output = output.clone();
    erase(&mut output);
    output.into_token_stream()
}

fn erase(output: &mut Type) {
    match output {
        Type::ImplTrait(bounds) => {
            let underscore_token = Token![_](bounds.impl_token.span);
            *output = Type::Infer(TypeInfer { attrs: Vec::new(), underscore_token });
        }
        Type::Array(array) => erase(&mut array.elem),
        Type::Group(group) => erase(&mut group.elem),
        Type::Paren(paren) => erase(&mut paren.elem),
        Type::Reference(reference) => erase(&mut reference.elem),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(erase),
        Type::Path(path) => {
            for segment in &mut path.path.segments {
                erase_arguments(&mut segment.arguments);
            }
        }
        _ => {}
    }
}

fn erase_arguments(arguments: &mut PathArguments) {
    let PathArguments::AngleBracketed(arguments) = arguments else { return };
    for argument in &mut arguments.args {
        if let GenericArgument::Type(argument) = argument {
            erase(argument);
        }
    }
}
