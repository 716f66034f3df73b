//! Methods: every receiver, `Self`, traits, and results that borrow from the receiver.

shape!(outcome borrows_its_receiver with { struct Shop { stock: Vec<u8> } } in { impl Shop } {
    fn shape(&self, i: usize) -> Option<&u8> {
        self.stock.get(i)
    }
} calls { Shop { stock: vec![1] }.shape(0).copied(), Shop { stock: vec![] }.shape(0).copied() });

shape!(outcome changes_its_receiver with {
    struct Shop { stock: Vec<u8> }
} in { impl Shop } {
    pub(crate) fn shape(&mut self, most: usize) -> Result<&mut Self, usize> {
        if self.stock.len() == most {
            return Err(most);
        }
        self.stock.push(1);
        self.stock.extend([2, 3]);
        Ok(self)
    }
} calls {
    Shop { stock: vec![] }.shape(3).map(|shop| shop.stock.len()),
    Shop { stock: vec![1] }.shape(1).map(|shop| shop.stock.len()),
});

shape!(any consumes_its_receiver with { struct Shop { stock: Vec<Noisy> } } in { impl Shop } {
    fn shape(mut self) -> Vec<Noisy> {
        self.stock.push(Noisy("b"));
        self.stock
    }
} calls { Shop { stock: vec![Noisy("a")] }.shape() });

shape!(outcome is_called_on_a_box with { struct Shop(u8); } in { impl Shop } {
    fn shape(self: Box<Self>) -> Result<u8, Box<Self>> {
        if self.0 == 0 { Err(self) } else { Ok(self.0) }
    }
} calls { Box::new(Shop(1)).shape().is_ok().then_some(()) });

shape!(any is_called_on_a_shared_pointer with { use std::rc::Rc; struct Shop(u8); } in { impl Shop } {
    fn shape(self: &Rc<Self>, other: Rc<Self>) -> usize {
        Rc::strong_count(self) + usize::from(other.0)
    }
} calls { { let shop = Rc::new(Shop(1)); shop.shape(Rc::clone(&shop)) } });

shape!(outcome is_called_on_a_pinned_receiver with {
    use std::pin::Pin;
    struct Shop(u8);
} in { impl Shop } {
    fn shape(mut self: Pin<&mut Self>) -> Option<u8> {
        self.0 = self.0.checked_sub(1)?;
        Some(self.as_ref().0)
    }
} calls { Pin::new(&mut Shop(1)).shape(), Pin::new(&mut Shop(0)).shape() });

shape!(outcome speaks_of_self with {
    struct Shop(u8);
    trait Sold { type Refused; }
    impl Sold for Shop { type Refused = (); }
    impl Shop { const MOST: u8 = 3; }
} in { impl Shop } {
    fn shape(n: u8) -> Result<Self, <Self as Sold>::Refused> {
        Ok(Self(Self::MOST.checked_sub(n).ok_or(())?))
    }
} calls { Shop::shape(1).map(|shop| shop.0), Shop::shape(9).map(|shop| shop.0) });

shape!(any implements_a_trait with {
    trait Area { const SIDES: u32 = 4; fn shape(&self) -> u32; }
    struct Square(u32);
} in { impl Area for Square } {
    fn shape(&self) -> u32 {
        self.0 * Self::SIDES
    }
} calls { Square(2).shape() });

shape!(outcome is_a_default_of_a_trait with { impl Price for u8 {} } in { trait Price: Copy + Into<u32> } {
    fn shape(self, tax: u32) -> Option<u32>
    where
        Self: Sized,
    {
        let net: u32 = self.into();
        net.checked_sub(tax)
    }
} calls { 3_u8.shape(1), 3_u8.shape(9) });

shape!(outcome is_generic_like_its_type with {
    use std::fmt::Display;
    struct Stack<'a, T, const N: usize>(&'a mut [T; N]);
} in { impl<'a, T: Display + Clone, const N: usize> Stack<'a, T, N> } {
    fn shape<U: From<T>>(self, i: usize) -> Result<(&'a mut T, U), String> {
        let n = N;
        let value = self.0.get(i).ok_or_else(|| format!("{i} of {n}"))?;
        let other = U::from(value.clone());
        Ok((&mut self.0[i], other))
    }
} calls {
    Stack(&mut [1, 2_u8]).shape::<u32>(1).map(|(value, other)| (*value, other)),
    Stack(&mut [1_u8]).shape::<u32>(1).map(|(value, other)| (*value, other)),
});

shape!(outcome walks_along_its_receiver with {
    #[derive(Default)]
    struct List { value: u8, next: Option<Box<Self>> }
} in { impl List } {
    fn shape(mut self: &mut Self, mut steps: usize) -> Option<&mut u8> {
        while steps > 0 {
            self = self.next.as_mut()?;
            steps -= 1;
        }
        Some(&mut self.value)
    }
} calls { List::default().shape(0).copied(), List::default().shape(1).copied() });

shape!(any overloads_an_operator with {
    #[derive(Debug)]
    struct Sum(u8);
    impl std::ops::Add for Sum {
        type Output = Self;
        fn add(self, other: Self) -> Self {
            self.shape(other)
        }
    }
} in { impl Sum } {
    #[inline]
    pub(self) fn shape(self, Self(other): Self) -> Self {
        Self(self.0 + other)
    }
} calls { Sum(1) + Sum(2) });

shape!(any is_called_on_a_trait_object with {
    trait Shape { fn shape(&self, n: u8) -> Box<dyn Shape>; fn size(&self) -> u8; }
    struct Grown(u8);
} in { impl Shape for Grown } {
    fn shape(&self, n: u8) -> Box<dyn Shape> {
        Box::new(Self(self.0 + n))
    }
    fn size(&self) -> u8 {
        self.0
    }
} calls { { let shape: &dyn Shape = &Grown(1); shape.shape(2).size() } });
