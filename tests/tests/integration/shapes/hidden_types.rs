//! Return types that contain an `impl Trait`: they can be written only in a signature, so
//! attributes must not repeat them.

use std::fmt::Debug;

/// One return type, of a function, an async function, and a function that boxes a future.
macro_rules! hidden {
    ($name:ident ($($lifetime:lifetime)?) $argument:ty => $output:ty {
        $($body:tt)*
    } calls { $($value:expr => $seen:expr),+ $(,)? }) => {
        mod $name {
            use super::*;

            shape!(outcome function with { use super::super::*; } {
                #[allow(single_use_lifetimes, clippy::needless_lifetimes, reason = "not all need one")]
                fn shape<$($lifetime)?>(given: $argument) -> $output { hidden!(@body given $($body)*) }
            } calls { $(($seen)(shape($value))),+ });

            shape!(future_outcome future with { use super::super::*; } {
                #[allow(single_use_lifetimes, clippy::needless_lifetimes, reason = "not all need one")]
                async fn shape<$($lifetime)?>(given: $argument) -> $output {
                    once_pending().await;
                    hidden!(@body given $($body)*)
                }
            } calls { $(($seen)(block_on(shape($value)))),+ });
        }
    };
    (@body $given:ident |$argument:ident| $body:expr) => {{ let $argument = $given; $body }};
}

trait Named {
    type Name;
    fn name(&self) -> Self::Name;
}

impl Named for u8 {
    type Name = char;
    fn name(&self) -> char {
        char::from(b'a' + self)
    }
}

macro_rules! output {
    () => { Result<impl Debug, String> };
    ($($output:tt)*) => { Option<$($output)*> };
}

/// The hidden value, as text.
fn text(value: impl Debug) -> String {
    format!("{value:?}")
}

hidden!(in_a_boxed_iterator () u8 => Result<Box<dyn Iterator<Item = impl Debug>>, String> {
    |n| {
        if n == 0 {
            return Err(String::from("none"));
        }
        Ok(Box::new((0..n).map(|n| n + 1)))
    }
} calls {
    2 => |seen: Result<Box<dyn Iterator<Item = _>>, _>| seen.map(|all| text(all.collect::<Vec<_>>())),
    0 => |seen: Result<Box<dyn Iterator<Item = _>>, _>| seen.map(|all| text(all.collect::<Vec<_>>())),
});
hidden!(in_a_slice ('a) &'a [u8] => Option<&'a [impl Debug]> {
    |all| all.get(1..)
} calls { &[1, 2] => |seen: Option<&[_]>| seen.map(text), &[] => |seen: Option<&[_]>| seen.map(text) });
hidden!(in_a_mutable_reference ('a) &'a mut [u8] => Option<&'a mut impl Debug> {
    |all| { all.first_mut()?; all.first_mut() }
} calls { &mut [1] => |seen: Option<_>| seen.map(text), &mut [] => |seen: Option<_>| seen.map(text) });
hidden!(in_an_array () u8 => Result<[impl Debug; 2], u8> {
    |n| if n > 1 { Ok([n, n]) } else { Err(n) }
} calls { 1 => |seen: Result<[_; 2], _>| seen.map(text), 2 => |seen: Result<[_; 2], _>| seen.map(text) });
hidden!(in_a_tuple () u8 => Option<(impl Debug, u8, (impl Copy + Debug,))> {
    |n| { let less = n.checked_sub(1)?; Some((text(n), less, (less,))) }
} calls { 0 => |seen: Option<_>| seen.map(text), 1 => |seen: Option<_>| seen.map(text) });
hidden!(in_a_pointer ('a) &'a u8 => Option<*const impl Debug> {
    |n| if *n == 0 { None } else { Some(std::ptr::from_ref(n)) }
} calls { &0 => |seen: Option<_>| seen.map(drop::<*const _>), &1 => |seen: Option<_>| seen.map(drop::<*const _>) });
hidden!(in_a_generic_in_a_generic () u8 => Result<Vec<Option<Box<impl Debug>>>, Box<dyn std::error::Error>> {
    |n| { if n == 0 { Err("none")?; } Ok(vec![None, Some(Box::new(n))]) }
} calls {
    0 => |seen: Result<_, Box<dyn std::error::Error>>| seen.map(text).map_err(|e| e.to_string()),
    1 => |seen: Result<_, Box<dyn std::error::Error>>| seen.map(text).map_err(|e| e.to_string()),
});
hidden!(in_an_error () u8 => Result<u8, impl Debug> {
    |n| n.checked_sub(1).ok_or(n)
} calls { 0 => |seen: Result<_, _>| seen.map_err(text), 1 => |seen: Result<_, _>| seen.map_err(text) });
hidden!(in_both () u8 => Result<impl Debug, impl Debug> {
    |n| n.checked_sub(1).ok_or(n)
} calls { 0 => |seen: Result<_, _>| seen.map(text).map_err(text), 1 => |seen: Result<_, _>| seen.map(text).map_err(text) });
hidden!(in_an_impl () u8 => Option<impl Iterator<Item = impl Debug + use<>> + use<>> {
    |n| (n > 0).then(|| (0..n).rev())
} calls { 0 => |seen: Option<_>| seen.map(|all| text(Vec::from_iter(all))), 3 => |seen: Option<_>| seen.map(|all| text(Vec::from_iter(all))) });
hidden!(in_an_associated_type () u8 => Option<Box<dyn Named<Name = impl Debug>>> {
    |n| { let named: Option<Box<dyn Named<Name = char>>> = if n == 0 { None } else { Some(Box::new(n)) }; named }
} calls {
    0 => |seen: Option<Box<dyn Named<Name = _>>>| seen.map(|named| text(named.name())),
    1 => |seen: Option<Box<dyn Named<Name = _>>>| seen.map(|named| text(named.name())),
});
hidden!(in_a_boxed_associated_type_that_borrows ('a) &'a [u8]
    => Result<Box<dyn Iterator<Item = &'a impl Debug> + Send + 'a>, String> {
    |all| match all { [] => Err("none")?, all => Ok(Box::new(all.iter().rev())) }
} calls {
    &[1, 2] => |seen: Result<Box<dyn Iterator<Item = _> + Send>, _>| seen.map(|all| text(Vec::from_iter(all))),
    &[] => |seen: Result<Box<dyn Iterator<Item = _> + Send>, _>| seen.map(|all| text(Vec::from_iter(all))),
});
hidden!(in_a_macro () u8 => output!() {
    |n| if n == 0 { Err("none".into()) } else { Ok(n) }
} calls { 0 => |seen: Result<_, _>| seen.map(text), 1 => |seen: Result<_, _>| seen.map(text) });
hidden!(in_the_arguments_of_a_macro () u8 => output!(Box<dyn Iterator<Item = impl Debug>>) {
    |n| if n == 0 { None } else if n == 1 { Some(Box::new(0..n)) } else { Some(Box::new(1..=n)) }
} calls {
    0 => |seen: Option<Box<dyn Iterator<Item = _>>>| seen.map(|all| text(Vec::from_iter(all))),
    1 => |seen: Option<Box<dyn Iterator<Item = _>>>| seen.map(|all| text(Vec::from_iter(all))),
});
