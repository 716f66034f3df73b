//! Free functions: arguments, results and bodies of every kind.

shape!(any returns_nothing {
    fn shape() {}
} calls { shape() });

shape!(any returns_a_value {
    fn shape(a: u32, b: u32) -> u32 {
        a + b
    }
} calls { shape(1, 2), shape(3, 4) });

shape!(any returns_early {
    fn shape(n: i32) -> &'static str {
        if n < 0 {
            return "negative";
        }
        for i in 0..n {
            if i == 3 {
                return "large";
            }
        }
        "small"
    }
} calls { shape(-1), shape(2), shape(9) });

shape!(any panics_with_a_text {
    fn shape(n: u32) -> u32 {
        assert!(n < 3, "too large: {n}");
        n
    }
} calls { shape(1), shape(7) });

shape!(any panics_with_a_value {
    fn shape(n: u32) -> u32 {
        std::panic::panic_any(n)
    }
} calls { shape(7) });

shape!(any never_returns with {
    fn call(never: fn() -> !) -> u8 {
        never()
    }
} {
    fn shape() -> ! {
        panic!("never")
    }
} calls { call(shape) });

shape!(any breaks_out_of_labelled_loops {
    fn shape(rows: &[[u8; 3]]) -> Option<u8> {
        'rows: for row in rows {
            for cell in row {
                match cell {
                    0 => continue 'rows,
                    1 => break 'rows,
                    9 => return Some(*cell),
                    _ => {}
                }
            }
        }
        None
    }
} calls { shape(&[[2, 0, 9], [2, 9, 1]]), shape(&[[1, 9, 9]]), shape(&[]) });

shape!(any is_generic with { use std::fmt::Display; } {
    fn shape<T, U>(t: T, u: &U) -> String
    where
        T: Display + Clone,
        U: Display + ?Sized,
    {
        format!("{}{t}{u}", t.clone())
    }
} calls { shape(1, "a"), shape('c', &2.5) });

shape!(any is_generic_over_a_number {
    fn shape<const N: usize>(values: [u8; N]) -> [u8; N] {
        values.map(|value| value + 1)
    }
} calls { shape([1, 2]), shape([]) });

shape!(any returns_what_it_borrows {
    fn shape<'a>(a: &'a str, _b: &str) -> &'a str {
        a.trim()
    }
} calls { shape(" a ", "b") });

shape!(any returns_a_mutable_borrow {
    fn shape(values: &mut [u8], i: usize) -> &mut u8 {
        &mut values[i]
    }
} calls { { let mut values = [1, 2]; *shape(&mut values, 1) += 5; values }, shape(&mut [], 3).to_owned() });

shape!(any returns_something_hidden {
    fn shape(values: &[u8]) -> impl Iterator<Item = u8> + use<'_> {
        values.iter().map(|value| value * 2)
    }
} calls { shape(&[1, 2]).collect::<Vec<_>>() });

shape!(any takes_something_hidden {
    fn shape(values: impl IntoIterator<Item = u8>, mut each: impl FnMut(u8)) {
        for value in values {
            each(value);
        }
    }
} calls { { let mut sum = 0; shape([1, 2], |value| sum += value); sum } });

shape!(any returns_a_boxed_closure {
    fn shape(n: u8) -> Box<dyn Fn(u8) -> u8> {
        Box::new(move |m| m + n)
    }
} calls { shape(1)(2) });

shape!(any takes_patterns with { struct Point { x: i32, y: i32 } } {
    fn shape(
        (a, mut b): (i32, i32),
        Point { x, y: ref z }: Point,
        [first, .., last]: [i32; 4],
        &c: &i32,
        whole @ (left, _): (i32, i32),
        _: i32,
    ) -> i32 {
        b += a;
        b * x - *z + first * last + c + left + whole.1
    }
} calls { shape((1, 2), Point { x: 3, y: 4 }, [5, 6, 7, 8], &9, (10, 11), 12) });

shape!(any changes_its_argument {
    fn shape(mut n: u64, steps: &mut u32) -> u64 {
        while n != 1 {
            n = if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 };
            *steps += 1;
        }
        n
    }
} calls { { let mut steps = 0; (shape(27, &mut steps), steps) } });

shape!(any is_unsafe {
    #[allow(unsafe_code, reason = "the shape is about it")]
    unsafe fn shape(p: *const u8) -> u8 {
        // SAFETY: the caller gives a valid pointer.
        unsafe { *p }
    }
} calls {
    {
        #[allow(unsafe_code, reason = "the shape is about it")]
        // SAFETY: the pointer is valid.
        unsafe { shape(std::ptr::from_ref(&7)) }
    }
});

shape!(any is_called_from_c {
    extern "C" fn shape(n: i32) -> i32 {
        -n
    }
} calls { shape(3), { let pointer: extern "C" fn(i32) -> i32 = shape; pointer(4) } });

shape!(any has_inner_attributes {
    fn shape(n: u32) -> u32 {
        #![allow(unused_variables, non_snake_case, reason = "the shape is about it")]
        #![doc = "inside"]
        let Unused = 3;
        n
    }
} calls { shape(3) });

shape!(any begins_with_items {
    fn shape(n: u32) -> u32 {
        use std::cmp::max;
        const LEAST: u32 = 5;
        macro_rules! twice { ($e:expr) => { $e * 2 } }
        fn inner(n: u32) -> u32 {
            max(n, LEAST)
        }
        twice!(inner(n))
    }
} calls { shape(3), shape(30) });

shape!(any has_closures_that_return {
    fn shape(values: &[i32]) -> Vec<i32> {
        let clamp = |value: i32| {
            if value < 0 {
                return 0;
            }
            value
        };
        values.iter().copied().map(clamp).collect()
    }
} calls { shape(&[-1, 2]) });

shape!(any keeps_its_other_attributes {
    /// Documented.
    #[must_use]
    #[inline(never)]
    #[deprecated = "for the shape"]
    #[allow(unused_mut, reason = "the shape is about it")]
    pub(crate) fn shape(#[cfg(any())] gone: u8, #[allow(unused, reason = "x")] mut n: u8) -> u8 {
        n
    }
} calls {
    {
        #[expect(deprecated, reason = "it was annotated so, and must still be")]
        let result = shape(1);
        result
    }
});

shape!(any has_locals_named_like_ours {
    #[allow(non_snake_case, reason = "the shape is about it")]
    fn shape(__zibrato_time: u8) -> u8 {
        let __zibrato_scope = 1;
        let __zibrato_result = 2;
        let __ZIBRATO_SITE = 3;
        __zibrato_time + __zibrato_scope + __zibrato_result + __ZIBRATO_SITE
    }
} calls { shape(1) });

shape!(any is_an_argument_of_a_function {
    fn shape(n: &u8) -> u8 {
        *n + 1
    }
} calls { [1].iter().map(shape).collect::<Vec<_>>() });

shape!(any returns_a_closure_of_references {
    fn shape<T: Ord>(greater: bool) -> impl FnMut(&T, &T) -> bool {
        let mut calls = 0;
        move |a: &T, b: &T| {
            calls += 1;
            (a > b) == greater && calls < 2
        }
    }
} calls { shape::<u8>(true)(&2, &1), shape::<u8>(false)(&2, &1) });
