//! Ambiguous bounds: the compiler rejects a closure in such a function.

use zibrato::{count_me, time_me};

#[count_me(outcomes, name = "counted")]
#[time_me(outcomes, slow("1s"), in_flight, name = "timed")]
fn how_many<T, U, X>(items: T) -> usize
where
    T: IntoIterator<Item = U> + IntoIterator<Item = X>,
{
    items.into_iter().count()
}

#[count_me(on = "ok", name = "found")]
fn first<T, U, X>(items: T) -> Option<u32>
where
    T: Iterator<Item = U> + Iterator<Item = X> + Into<Vec<u32>>,
{
    items.into().first().copied()
}

/// An iterator that is a list too.
struct Numbers(Vec<u32>);

impl Iterator for Numbers {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.0.pop()
    }
}

impl From<Numbers> for Vec<u32> {
    fn from(numbers: Numbers) -> Self {
        numbers.0
    }
}

#[test]
fn a_function_that_cannot_contain_closures_is_measured() {
    let capture = zibrato::testing::capture();
    assert_eq!(how_many(vec![1, 2]), 2);
    assert_eq!(first(Numbers(vec![3])), Some(3));
    assert_eq!(first(Numbers(vec![])), None);
    assert_eq!(capture.counter("info", "counted"), 1.0);
    assert_eq!(capture.timer("info", "timed").len(), 1);
    assert_eq!(capture.counter("info", "found"), 1.0);
}
