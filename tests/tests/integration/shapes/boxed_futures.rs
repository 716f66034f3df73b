//! Bodies that consist of a future, which is measured: `#[async_trait]` creates these.

use super::shape::{block_on, once_pending};
use async_trait::async_trait;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use zibrato::testing::{Capture, capture};
use zibrato::{count_me, time_me};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

thread_local!(static RAN: Cell<u32> = const { Cell::new(0) });

async fn run(result: Result<u8, String>) -> Result<u8, String> {
    once_pending().await;
    RAN.set(RAN.get() + 1);
    result
}

/// Calls `future`, runs the result, and returns the readings recorded before and after it ran.
fn recorded<T>(future: impl FnOnce() -> T, block: impl FnOnce(T)) -> (Vec<String>, Vec<String>) {
    fn lines(capture: &Capture) -> Vec<String> {
        const MODULE: &str = "integration.shapes.boxed_futures.";
        let all = capture.measurements();
        let mut lines: Vec<_> = all
            .iter()
            .map(|m| format!("{:?} {}", m.kind, m.name.as_str().trim_start_matches(MODULE)))
            .collect();
        lines.sort();
        lines
    }
    let capture = capture();
    let future = future();
    let before = lines(&capture);
    block(future);
    (before, lines(&capture))
}

#[async_trait]
trait Query {
    type Row: Send;

    async fn below(&self, ok: bool) -> Result<u8, String>;
    async fn rows(&mut self, name: &str, row: Self::Row) -> Option<Self::Row>;
    async fn nothing(self: Box<Self>);

    #[time_me]
    #[count_me(on = "err")]
    async fn by_default(&self) -> Result<(), u8>
    where
        Self: Sync,
    {
        self.below(true).await.map(drop).map_err(|_| 1)?;
        Err(2)
    }
}

struct Db;

#[async_trait]
impl Query for Db {
    type Row = String;

    #[time_me]
    #[count_me(on = "err", name = "db.failed")]
    #[count_me(on = "ok", name = "db.fine", tags(ok = ok))]
    async fn below(&self, ok: bool) -> Result<u8, String> {
        let text = run(if ok { Ok(3) } else { Err(String::from("no")) }).await?;
        Ok(text + 1)
    }

    #[count_me(name = format!("db.{name}"), on = "ok")]
    #[time_me]
    async fn rows(&mut self, name: &str, row: String) -> Option<String> {
        if name.is_empty() {
            return None;
        }
        run(Ok(1)).await.ok()?;
        Some(row + name)
    }

    #[time_me]
    #[count_me(value = 2)]
    async fn nothing(self: Box<Self>) {
        once_pending().await;
    }
}

macro_rules! around {
    ($module:ident, $($attribute:meta),+) => {
        mod $module {
            use super::{Query, once_pending};
            use async_trait::async_trait;
            #[allow(unused_imports, reason = "the macro writes them by path or by name")]
            use zibrato::time_me;

            pub(super) struct Db;

            $(#[$attribute])+
            impl Query for Db {
                type Row = u8;

                async fn below(&self, ok: bool) -> Result<u8, String> {
                    super::run(if ok { Ok(3) } else { Err(String::new()) }).await
                }

                #[time_me(skip)]
                async fn rows(&mut self, _: &str, row: u8) -> Option<u8> {
                    Some(row)
                }

                #[time_me(name = "nothing")]
                async fn nothing(self: Box<Self>) {
                    once_pending().await;
                }
            }
        }
    };
}

around!(outside, time_me, async_trait);
around!(inside, async_trait, time_me);

#[test]
fn below_async_trait_the_future_is_measured_and_not_its_creation() {
    let below = |ok| recorded(|| Db.below(ok), |future| assert_eq!(block_on(future).is_ok(), ok));
    let none: [String; 0] = [];
    let (before, after) = below(true);
    assert_eq!(before, none);
    assert_eq!(after, ["Counter db.fine", "Timer below"]);
    let (before, after) = below(false);
    assert_eq!(before, none);
    assert_eq!(after, ["Counter db.failed", "Timer below"]);

    let rows = || Box::leak(Box::new(Db)).rows("users", String::from("a "));
    let (before, after) =
        recorded(rows, |future| assert_eq!(block_on(future).as_deref(), Some("a users")));
    assert_eq!(before, none);
    assert_eq!(after, ["Counter db.users", "Timer rows"]);

    let (before, after) = recorded(|| Box::new(Db).nothing(), block_on);
    assert_eq!(before, none);
    assert_eq!(after, ["Counter nothing", "Timer nothing"]);

    let (_, after) = recorded(|| Db.by_default(), |future| assert_eq!(block_on(future), Err(2)));
    assert_eq!(after, ["Counter by_default", "Counter db.fine", "Timer below", "Timer by_default"]);
}

#[test]
fn the_order_of_attributes_with_async_trait_does_not_matter() {
    let none: [String; 0] = [];
    let check = |db: &dyn Fn() -> BoxFuture<'static, ()>, expected: &[&str]| {
        let (before, after) = recorded(db, block_on);
        assert_eq!(before, none);
        assert_eq!(after, expected);
    };
    check(&|| Box::pin(async { drop(outside::Db.below(true).await) }), &["Timer outside.Db.below"]);
    check(&|| Box::pin(async { drop(inside::Db.below(true).await) }), &["Timer inside.Db.below"]);
    check(&|| Box::new(outside::Db).nothing(), &["Timer nothing"]);
    check(&|| Box::new(inside::Db).nothing(), &["Timer nothing"]);
    check(&|| Box::pin(async { assert_eq!(inside::Db.rows("", 1).await, Some(1)) }), &[]);
}

shape!(outcome boxes_a_future with { use std::future::Future; use std::pin::Pin; } {
    fn shape<'a>(a: Noisy, b: &'a str, _c: Noisy) -> Pin<Box<dyn Future<Output = Result<usize, String>> + 'a>> {
        const LEAST: usize = 1;
        Box::pin(async move {
            const MOST: usize = 3;
            once_pending().await;
            let _inner = Noisy("inner");
            if b.len() > MOST || b.len() < LEAST {
                return Err(b.to_owned());
            }
            let n: usize = b.parse().map_err(|_| String::from("no number"))?;
            Ok(n + a.length())
        })
    }
} calls {
    block_on(shape(Noisy("a"), "12", Noisy("c"))),
    block_on(shape(Noisy("a"), "1234", Noisy("c"))),
    block_on(shape(Noisy("a"), "x", Noisy("c"))),
});

shape!(outcome is_an_async_block with { use std::future::Future; } {
    #[allow(clippy::manual_async_fn, reason = "that is the shape")]
    fn shape(text: &str) -> impl Future<Output = Option<impl Copy + std::fmt::Debug + use<>>> + use<'_> {
        async {
            once_pending().await;
            let first = text.chars().next()?;
            Some(first)
        }
    }
} calls { block_on(shape("a")), block_on(shape("")) });

shape!(outcome is_hidden_behind_an_alias with {
    use super::super::BoxFuture;
    type Answer<'a> = BoxFuture<'a, Option<u8>>;
} {
    fn shape<'a>(bytes: &'a [u8]) -> Answer<'a> {
        ::std::boxed::Box::pin(async move { bytes.first().copied() },)
    }
} calls { block_on(shape(b"a")), block_on(shape(b"")) });

shape!(any makes_a_future_among_other_things with { use std::pin::Pin; use std::future::Future; } {
    fn shape(n: u8) -> Pin<Box<dyn Future<Output = u8>>> {
        let twice = 2 * n;
        Box::pin(async move { twice })
    }
} calls { block_on(shape(2)) });
