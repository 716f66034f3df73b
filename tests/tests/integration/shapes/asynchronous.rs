//! Async functions: what they borrow, how they end, and that they stay `Send`.

use super::shape::{block_on, observe, once_pending};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use zibrato::{count_me, time_me};

shape!(future returns_a_value {
    async fn shape(a: u8, b: &u8) -> u8 {
        once_pending().await;
        a + *b
    }
} calls { block_on(shape(1, &2)) });

shape!(future returns_nothing {
    async fn shape() {}
} calls { block_on(shape()) });

shape!(future_outcome asks_with_a_question_mark {
    async fn shape(text: &str) -> Result<u32, std::num::ParseIntError> {
        once_pending().await;
        let n: u32 = text.parse()?;
        once_pending().await;
        Ok(n + 1)
    }
} calls { block_on(shape("3")), block_on(shape("x")) });

shape!(future_outcome converts_its_errors {
    async fn shape(n: u8) -> Result<u8, Box<dyn std::error::Error + Send + Sync>> {
        if n == 1 {
            return Err("one".into());
        }
        match n {
            0 => Err("zero")?,
            2 => Err(std::fmt::Error.into()),
            _ => Ok(n),
        }
    }
} calls { block_on(shape(0)), block_on(shape(1)), block_on(shape(2)), block_on(shape(3)) });

shape!(future_outcome relies_on_its_type_for_inference {
    async fn shape(words: Vec<&str>) -> Result<Vec<u8>, std::num::ParseIntError> {
        if words.is_empty() {
            return Ok(Default::default());
        }
        words.into_iter().map(|word| word.parse()).collect()
    }
} calls { block_on(shape(vec!["1"])), block_on(shape(vec!["x"])), block_on(shape(vec![])) });

shape!(future_outcome loops_and_returns_early {
    async fn shape(values: &[u8]) -> Option<usize> {
        for (i, value) in values.iter().enumerate() {
            once_pending().await;
            if *value == 0 {
                return Some(i);
            }
        }
        None
    }
} calls { block_on(shape(&[1, 0])), block_on(shape(&[])) });

shape!(future_outcome only_panics {
    async fn shape() -> Option<u8> {
        once_pending().await;
        panic!("later")
    }
} calls { block_on(shape()) });

shape!(future_outcome borrows_mutably_what_it_returns {
    async fn shape<'a>(values: &'a mut [u8], wanted: &u8) -> Option<&'a mut u8> {
        once_pending().await;
        values.iter_mut().find(|value| *value == wanted)
    }
} calls { block_on(shape(&mut [1], &1)).copied(), block_on(shape(&mut [], &1)).copied() });

shape!(future_outcome borrows_its_receiver with { struct Shop(Vec<u8>); } in { impl Shop } {
    async fn shape(&mut self, n: u8) -> Result<&u8, u8> {
        once_pending().await;
        self.0.push(n);
        self.0.first().filter(|first| **first == n).ok_or(n)
    }
} calls {
    block_on(Shop(vec![]).shape(1)).copied(),
    block_on(Shop(vec![3]).shape(1)).copied(),
});

shape!(future_outcome is_called_on_a_pinned_receiver with {
    use std::pin::Pin;
    struct Shop(u8);
} in { impl Shop } {
    async fn shape(mut self: Pin<&mut Self>, (by, _): (u8, u8)) -> Option<u8> {
        once_pending().await;
        self.0 = self.0.checked_sub(by)?;
        Some(self.0)
    }
} calls {
    block_on(Pin::new(&mut Shop(1)).shape((1, 0))),
    block_on(Pin::new(&mut Shop(0)).shape((1, 0))),
});

shape!(future_outcome hides_part_of_its_result {
    async fn shape(text: &str) -> Result<impl Iterator<Item = char>, std::num::ParseIntError> {
        if text == "bad" {
            text.parse::<u8>()?;
        }
        Ok(text.chars().rev())
    }
} calls {
    block_on(shape("ab")).map(Iterator::collect::<String>),
    block_on(shape("bad")).map(Iterator::collect::<String>),
});

shape!(future_outcome is_generic with { use std::future::Ready; use std::future::ready; } {
    async fn shape<T, F>(make: F, n: u8) -> Option<T>
    where
        F: FnOnce(u8) -> Ready<Option<T>>,
    {
        make(n).await
    }
} calls { block_on(shape(|n| ready(Some(n)), 1)), block_on(shape(|n| ready(n.checked_sub(2)), 1)) });

shape!(future_outcome implements_a_trait with {
    trait Fetch { async fn shape(&self, key: &str) -> Result<u8, String>; }
    struct Store(u8);
} in { impl Fetch for Store } {
    async fn shape(&self, key: &str) -> Result<u8, String> {
        once_pending().await;
        if key.is_empty() { Err(String::from("no key")) } else { Ok(self.0) }
    }
} calls { block_on(Store(1).shape("a")), block_on(Store(1).shape("")) });

shape!(future_outcome is_unsafe {
    #[allow(unsafe_code, reason = "the shape is about it")]
    async unsafe fn shape(p: &u8) -> Option<u8> {
        Some(*p)
    }
} calls {
    {
        #[allow(unsafe_code, reason = "the shape is about it")]
        // SAFETY: it does nothing that is not.
        let future = unsafe { shape(&1) };
        block_on(future)
    }
});

shape!(future has_inner_attributes_and_items {
    async fn shape(n: u8) -> u8 {
        #![allow(non_upper_case_globals, reason = "the shape is about it")]
        const one: u8 = 1;
        use std::future::ready;
        ready(n + one).await
    }
} calls { block_on(shape(3)) });

#[count_me(name = "cancelled.count", on = "err")]
#[count_me(name = "cancelled.ok", on = "ok")]
#[time_me(name = "cancelled.time")]
async fn never_done() -> Option<u8> {
    loop {
        once_pending().await;
        std::future::pending::<()>().await;
    }
}

#[test]
fn a_future_that_is_dropped_is_timed_without_an_outcome() {
    let capture = zibrato::testing::capture();
    {
        let mut future = pin!(never_done());
        let mut context = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
        assert!(future.as_mut().poll(&mut context).is_pending());
        assert_eq!(capture.measurements().len(), 0);
    }
    assert!(!capture.has("info", "cancelled.count"));
    assert!(!capture.has("info", "cancelled.ok"));
    assert_eq!(capture.timer("info", "cancelled.time").len(), 1);
}

#[test]
fn a_future_that_another_panic_drops_has_no_outcome() {
    let capture = zibrato::testing::capture();
    observe(|| {
        let mut future = pin!(never_done());
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        panic!("another one");
    });
    assert!(!capture.has("info", "cancelled.count"));
    assert_eq!(capture.timer("info", "cancelled.time").len(), 1);
}

#[test]
fn a_future_that_is_never_polled_records_nothing() {
    let capture = zibrato::testing::capture();
    drop(never_done());
    assert_eq!(capture.measurements().len(), 0);
}

#[count_me(name = "down", on = "ok")]
#[time_me(name = "down")]
async fn down(n: u8) -> Option<u8> {
    let less = n.checked_sub(1)?;
    Box::pin(down(less)).await.or(Some(n))
}

#[test]
fn a_future_may_borrow_from_itself() {
    let capture = zibrato::testing::capture();
    assert_eq!(block_on(down(3)), Some(1));
    assert_eq!(capture.counter("info", "down"), 3.0);
    assert_eq!(capture.timer("info", "down").len(), 4);
}

#[count_me(on = "err")]
#[time_me]
async fn sendable(text: &str, mut log: Vec<String>) -> Result<usize, std::num::ParseIntError> {
    log.push(text.to_owned());
    once_pending().await;
    Ok(text.parse::<usize>()? + log.len())
}

#[test]
fn a_future_can_still_be_sent_to_another_thread() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let future = assert_send(sendable("3", vec![]));
    let thread = std::thread::scope(|scope| scope.spawn(|| block_on(future)).join().unwrap());
    assert_eq!(thread, Ok(4));
}
