//! Functions that return a `Result` or an `Option`: their bodies are wrapped to check the result.

shape!(outcome asks_with_a_question_mark {
    fn shape(text: &str) -> Result<u32, std::num::ParseIntError> {
        let n: u32 = text.parse()?;
        Ok(n + 1)
    }
} calls { shape("3"), shape("x"), shape("") });

shape!(outcome asks_an_option_with_a_question_mark {
    fn shape(values: &[u8]) -> Option<u8> {
        let first = values.first()?;
        first.checked_add(*values.last()?)
    }
} calls { shape(&[1, 2]), shape(&[]), shape(&[255]) });

shape!(outcome converts_its_errors {
    fn shape(text: &str) -> Result<u8, Box<dyn std::error::Error>> {
        if text.is_empty() {
            Err("empty")?;
        }
        if text == "fmt" {
            Err(std::fmt::Error)?;
        }
        Ok(text.parse()?)
    }
} calls { shape(""), shape("fmt"), shape("7"), shape("x") });

shape!(outcome returns_its_outcome_early {
    fn shape(n: i32) -> Result<i32, String> {
        if n < 0 {
            return Err(format!("{n} is negative"));
        }
        if n == 0 {
            return Ok(0);
        }
        Ok(100 / n)
    }
} calls { shape(-1), shape(0), shape(3) });

shape!(outcome panics_instead {
    fn shape(n: u32) -> Result<u32, ()> {
        match n {
            0 => Err(()),
            1 => panic!("one"),
            2 => std::panic::panic_any(n),
            _ => Ok(n),
        }
    }
} calls { shape(0), shape(1), shape(2), shape(3) });

shape!(outcome only_panics {
    fn shape() -> Option<u8> {
        unimplemented!("later")
    }
} calls { shape() });

shape!(outcome relies_on_its_type_for_inference {
    fn shape(words: &[&str]) -> Result<Vec<u8>, std::num::ParseIntError> {
        words.iter().map(|word| word.parse()).collect()
    }
} calls { shape(&["1", "2"]), shape(&["1", "x"]) });

shape!(outcome coerces_to_its_type {
    fn shape(n: u8) -> Option<Box<dyn std::fmt::Debug>> {
        if n > 1 {
            return Some(Box::new(n));
        }
        if n == 0 { None } else { Some(Box::new("one")) }
    }
} calls { shape(0), shape(1), shape(2) });

shape!(outcome borrows_what_it_returns {
    fn shape<'a>(text: &'a str, _unused: &str) -> Result<&'a str, &'a str> {
        text.strip_prefix("a").ok_or(text)
    }
} calls { shape("ab", ""), shape("b", "") });

shape!(outcome borrows_mutably_what_it_returns {
    fn shape(values: &mut Vec<u8>) -> Option<&mut u8> {
        values.push(1);
        values.iter_mut().find(|value| **value == 1)
    }
} calls {
    { let mut values = vec![]; *shape(&mut values).unwrap() += 5; values },
    shape(&mut vec![3]).copied(),
});

shape!(outcome walks_along_its_argument with {
    struct Node {
        value: u8,
        next: Option<Box<Self>>,
    }
    fn nodes() -> Node {
        Node { value: 1, next: Some(Box::new(Node { value: 2, next: None })) }
    }
} {
    fn shape(mut node: &mut Node, wanted: u8) -> Option<&mut u8> {
        loop {
            if node.value == wanted {
                return Some(&mut node.value);
            }
            node = node.next.as_deref_mut()?;
        }
    }
} calls { shape(&mut nodes(), 1).copied(), shape(&mut nodes(), 2).copied(), shape(&mut nodes(), 3).copied() });

shape!(outcome hides_part_of_its_result {
    fn shape(text: &str) -> Result<impl Iterator<Item = char> + use<'_>, std::num::ParseIntError> {
        if text == "bad" {
            text.parse::<u8>()?;
        }
        Ok(text.chars().rev())
    }
} calls { shape("ab").map(Iterator::collect::<String>), shape("bad").map(Iterator::collect::<String>) });

shape!(outcome hides_all_of_its_result {
    fn shape(n: u8) -> impl PartialEq + zibrato::Outcome + std::fmt::Debug {
        if n == 0 {
            return None;
        }
        Some(n)
    }
} calls { shape(0), shape(1) });

shape!(outcome has_a_type_of_its_own with {
    #[derive(Debug)]
    enum Status {
        Err(u16),
        Fine,
    }
    impl zibrato::Outcome for Status {
        fn is_err(&self) -> bool {
            matches!(self, Self::Err(400..))
        }
    }
} {
    fn shape(code: u16) -> Status {
        if code >= 400 { Status::Err(code) } else { Status::Fine }
    }
} calls { shape(200), shape(404) });

shape!(outcome has_an_alias with { type Answer<T = u8> = std::io::Result<T>; } {
    fn shape(n: u8) -> Answer {
        if n == 0 { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(n) }
    }
} calls { shape(0), shape(1) });

shape!(outcome is_generic_in_both with { use std::str::FromStr; } {
    fn shape<T: FromStr<Err = E>, E>(text: &str) -> Result<T, E> {
        text.parse()
    }
} calls { shape::<u8, _>("1"), shape::<bool, _>("1") });

shape!(outcome is_unsafe {
    #[allow(unsafe_code, reason = "the shape is about it")]
    unsafe fn shape(p: *const u8, length: usize) -> Option<u8> {
        if length == 0 {
            return None;
        }
        // SAFETY: the caller gives that many bytes.
        Some(unsafe { *p.add(length - 1) })
    }
} calls {
    {
        let bytes = [1, 2];
        #[allow(unsafe_code, reason = "the shape is about it")]
        // SAFETY: there are two bytes.
        unsafe { shape(bytes.as_ptr(), 2) }
    },
    {
        #[allow(unsafe_code, reason = "the shape is about it")]
        // SAFETY: none is read.
        unsafe { shape(std::ptr::null(), 0) }
    },
});

shape!(outcome is_called_from_c {
    extern "C" fn shape(n: &u8) -> Option<&u8> {
        (*n > 0).then_some(n)
    }
} calls { shape(&0), shape(&1) });

shape!(outcome takes_patterns {
    fn shape((a, mut b): (u8, u8), [c, ref d]: [u8; 2], _: u8) -> Option<u8> {
        b = b.checked_sub(a)?;
        b.checked_sub(c)?.checked_sub(*d)
    }
} calls { shape((1, 9), [2, 3], 0), shape((1, 0), [2, 3], 0), shape((1, 2), [2, 3], 0) });

shape!(outcome takes_arguments_that_may_be_gone {
    fn shape(#[cfg(any())] gone: u8, #[cfg(all())] here: u8) -> Option<u8> {
        here.checked_sub(1)
    }
} calls { shape(0), shape(1) });

shape!(outcome begins_with_items_and_attributes {
    fn shape(n: u8) -> Option<u8> {
        #![allow(non_upper_case_globals, reason = "the shape is about it")]
        use std::ops::Sub;
        const one: u8 = 1;
        fn less(a: u8) -> u8 {
            a.sub(one)
        }
        if n == 0 {
            return None;
        }
        Some(less(n))
    }
} calls { shape(0), shape(1) });

shape!(outcome names_its_arguments_in_a_format {
    #[allow(clippy::used_underscore_binding, reason = "that is the shape")]
    fn shape(a: u8, _b: u8) -> Result<(), String> {
        Err(format!("{a}{_b}"))
    }
} calls { shape(1, 2) });

shape!(outcome takes_closures_that_it_calls {
    fn shape<F>(mut each: F) -> Result<u8, u8>
    where
        F: FnMut(u8) -> Result<u8, u8>,
    {
        let one = each(1)?;
        each(one)
    }
} calls { shape(Ok), shape(Err), { let mut n = 0; shape(|m| { n += m; Ok(n) }) } });
