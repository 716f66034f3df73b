//! The order of drops: locals, arguments and temporaries are dropped as without an attribute.

shape!(outcome drops_locals_from_the_last_to_the_first {
    fn shape(early: bool) -> Option<usize> {
        let a = Noisy("a");
        let b = Noisy("b");
        if early {
            return None;
        }
        let _c = Noisy("c");
        Some(a.length() + b.length())
    }
} calls { shape(false), shape(true) });

shape!(outcome drops_locals_when_it_panics {
    fn shape(a: Noisy) -> Option<usize> {
        let _b = Noisy("b");
        let _c = Noisy("c");
        assert_eq!(a.length(), 3, "{a:?}");
        Some(3)
    }
} calls { shape(Noisy("a")), shape(Noisy("abc")) });

shape!(outcome drops_arguments_from_the_last_to_the_first {
    fn shape(a: Noisy, b: Noisy, c: Noisy) -> Option<usize> {
        let _local = Noisy("local");
        Some(a.length() + c.length() + b.length())
    }
} calls { shape(Noisy("a"), Noisy("b"), Noisy("c")) });

shape!(outcome drops_arguments_that_it_only_holds {
    fn shape(_a: Noisy, b: Noisy, _c: Noisy, d: &Noisy) -> Option<usize> {
        Some(b.length() + d.length())
    }
} calls { shape(Noisy("a"), Noisy("b"), Noisy("c"), &Noisy("d")) });

shape!(outcome drops_patterns_of_arguments {
    fn shape((a, b): (Noisy, Noisy), c: Noisy) -> Option<usize> {
        Some(b.length() + c.length() + a.length())
    }
} calls { shape((Noisy("a"), Noisy("b")), Noisy("c")) });

shape!(outcome drops_the_fields_that_it_does_not_take with {
    struct Pair {
        a: Noisy,
        b: Noisy,
        c: Noisy,
    }
    fn pair() -> Pair {
        Pair { a: Noisy("a"), b: Noisy("b"), c: Noisy("c") }
    }
} {
    fn shape(pair: Pair, d: Noisy) -> Result<Noisy, Noisy> {
        drop(pair.b);
        if pair.a.length() == 1 { Ok(pair.c) } else { Err(d) }
    }
} calls { shape(pair(), Noisy("d")), shape(Pair { a: Noisy("aa"), ..pair() }, Noisy("d")) });

shape!(outcome drops_what_it_moves_away_where_it_moves_it {
    fn shape(a: Noisy, b: Noisy) -> Option<usize> {
        drop(b);
        let a = (a, Noisy("c"));
        Some(a.0.length())
    }
} calls { shape(Noisy("a"), Noisy("b")) });

shape!(outcome drops_what_it_moves_sometimes {
    fn shape(a: Noisy, b: Noisy, first: bool) -> Option<Noisy> {
        if first {
            return Some(a);
        }
        drop(b);
        None
    }
} calls { shape(Noisy("a"), Noisy("b"), true), shape(Noisy("a"), Noisy("b"), false) });

shape!(outcome drops_the_temporaries_of_its_last_expression with {
    fn some(noisy: &Noisy) -> Option<usize> {
        Some(noisy.length())
    }
} {
    fn shape(a: Noisy) -> Option<usize> {
        let _local = Noisy("local");
        some(&Noisy("temporary")).or(some(&a))
    }
} calls { shape(Noisy("a")) });

shape!(outcome drops_its_receiver_last with {
    struct Holder(Noisy);
} in { impl Holder } {
    fn shape(self, a: Noisy) -> Option<usize> {
        Some(a.length() + self.0.length())
    }
} calls { Holder(Noisy("self")).shape(Noisy("a")) });

shape!(future_outcome drops_arguments_of_an_async_function {
    async fn shape(a: Noisy, _b: Noisy, c: Noisy) -> Option<usize> {
        let d = Noisy("d");
        once_pending().await;
        Some(c.length() + a.length() + d.length())
    }
} calls { block_on(shape(Noisy("a"), Noisy("b"), Noisy("c"))) });

shape!(future_outcome drops_when_an_async_function_panics {
    async fn shape(a: Noisy, b: Noisy) -> Option<usize> {
        once_pending().await;
        let _c = Noisy("c");
        assert_eq!(b.length(), a.length(), "lengths");
        None
    }
} calls { block_on(shape(Noisy("a"), Noisy("bb"))), block_on(shape(Noisy("a"), Noisy("b"))) });
