//! Bodies that can be measured without a closure, and functions that cannot have one.
//!
//! A closure repeats the bounds of its function. If these give an associated type of one parameter
//! twice, as in `T: IntoIterator<Item = U> + IntoIterator<Item = X>`, the compiler cannot decide
//! between the two and rejects every closure (E0284). A body that can be left only at its end can
//! then replace the call of the closure.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    GenericArgument, GenericParam, PathArguments, Signature, TypeParamBound, WherePredicate,
};

/// Whether the function cannot contain a closure, and its body needs none.
pub(super) fn is_needed(signature: &Signature, body: &TokenStream) -> bool {
    binds_twice(signature) && ends_at_its_end(body)
}

/// Whether some associated type is given twice, by the same or by different bounds.
fn binds_twice(signature: &Signature) -> bool {
    let generics = &signature.generics;
    let of_parameters = generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) => {
            Some((parameter.ident.to_string(), parameter.bounds.iter().collect::<Vec<_>>()))
        }
        _ => None,
    });
    let clauses = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let of_clauses = clauses.filter_map(|predicate| match predicate {
        WherePredicate::Type(predicate) => {
            let bounded = predicate.bounded_ty.to_token_stream().to_string();
            Some((bounded, predicate.bounds.iter().collect()))
        }
        _ => None,
    });
    let mut given: Vec<(String, String)> = Vec::new();
    for (of, bounds) in of_parameters.chain(of_clauses) {
        for name in bounds.into_iter().flat_map(associated) {
            let pair = (of.clone(), name);
            if given.contains(&pair) {
                return true;
            }
            given.push(pair);
        }
    }
    false
}

/// The associated types that a bound gives.
fn associated(bound: &TypeParamBound) -> Vec<String> {
    let TypeParamBound::Trait(bound) = bound else { return Vec::new() };
    let arguments = bound.path.segments.iter().filter_map(|segment| match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    });
    let names = arguments.flatten().filter_map(|argument| match argument {
        GenericArgument::AssocType(given) => Some(given.ident.to_string()),
        _ => None,
    });
    names.collect()
}

/// Whether the code cannot be left early: it has no `return`, no `?`, and no macro call that may
/// contain one.
pub(crate) fn ends_at_its_end(code: &TokenStream) -> bool {
    let tokens: Vec<_> = code.clone().into_iter().collect();
    let is_macro = |at: usize| match tokens.get(at..at + 3) {
        // Other attributes write this one.
        Some([TokenTree::Ident(word), TokenTree::Punct(punct), TokenTree::Group(_)]) => {
            punct.as_char() == '!' && word != "module_path"
        }
        _ => false,
    };
    tokens.iter().enumerate().all(|(at, token)| match token {
        TokenTree::Ident(word) => word != "return" && !is_macro(at),
        TokenTree::Punct(punct) => punct.as_char() != '?',
        TokenTree::Group(group) => ends_at_its_end(&group.stream()),
        TokenTree::Literal(_) => true,
    })
}

#[cfg(test)]
mod tests {
    use super::is_needed;
    use quote::quote;
    use syn::parse_quote;

    #[test]
    fn two_types_of_one_name_leave_no_room_for_a_closure() {
        let body = quote!(items.into_iter().count());
        for (signature, expected) in [
            (parse_quote!(fn f<T: A<Item = U> + A<Item = X>, U, X>(items: T)), true),
            (parse_quote!(fn f<T: A<Item = U>, U, X>(items: T) where T: A<Item = X>), true),
            (parse_quote!(fn f<T, U, X>(items: T) where T: A<Item = U> + B<Item = X>), true),
            (parse_quote!(fn f<T: A<Item = U>, S: A<Item = U>, U>(items: T, _: S)), false),
            (parse_quote!(fn f<T: A<Item = U> + A<Error = U>, U>(items: T)), false),
            (parse_quote!(fn f<T: A<U> + A<X>, U, X>(items: T)), false),
        ] {
            assert_eq!(is_needed(&signature, &body), expected, "{}", quote!(#signature));
        }
    }

    #[test]
    fn a_body_that_may_be_left_early_needs_its_closure() {
        let signature = parse_quote!(fn f<T: A<Item = U> + A<Item = X>, U, X>(items: T));
        for (body, expected) in [
            (quote!(if !items.any() { 1 } else { 2 }), true),
            (quote!(let name = ::core::module_path!(); 2), true),
            (quote!(if items.any() { return 1; } 2), false),
            (quote!(items.first()?; 2), false),
            (quote!(ensure!(items.any()); 2), false),
        ] {
            assert_eq!(is_needed(&signature, &body), expected, "{body}");
        }
    }
}
