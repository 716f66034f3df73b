#![deny(deprecated)]

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use zibrato::{count_me, time_me};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type Task<'a> = Pin<Box<dyn Future<Output = u8> + 'a>>;

enum Either<A, B> {
    Left(A),
    Right(B),
}

#[derive(Clone)]
struct Cloned(u8);

impl Future for Cloned {
    type Output = Result<u8, ()>;

    fn poll(
        self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<u8, ()>> {
        std::task::Poll::Ready(Ok(self.0))
    }
}

#[time_me]
fn cloned(n: u8) -> impl Future<Output = Result<u8, ()>> + Clone {
    Cloned(n)
}

#[time_me(err)]
fn cloned_with_outcomes(n: u8) -> impl Future<Output = Result<u8, ()>> + Clone {
    Cloned(n)
}

#[time_me]
fn either(n: u8) -> Either<impl Future<Output = u8>, impl Future<Output = u8>> {
    if n > 1 { Either::Left(ready(n)) } else { Either::Right(async move { n }) }
}

#[count_me(outcomes)]
fn result(n: u8) -> Result<BoxFuture<'static, u8>, u8> {
    if n > 1 { Ok(Box::pin(ready(n))) } else { Err(n) }
}

#[time_me(in_flight)]
fn option(n: u8) -> Option<impl Future<Output = u8>> {
    (n > 1).then(|| ready(n))
}

#[time_me]
fn pair(n: u8) -> (u8, Pin<Box<dyn Future<Output = u8> + Send>>) {
    (n, Box::pin(ready(n)))
}

fn helper<'a>() -> Task<'a> {
    Box::pin(ready(1))
}

#[time_me]
fn alias<'a>() -> Task<'a> {
    helper()
}

// These give no note.

#[time_me]
fn iterator(n: u8) -> impl Iterator<Item = Ready<u8>> + Clone {
    std::iter::once(ready(n))
}

#[time_me]
fn closure(n: u8) -> impl Fn() -> BoxFuture<'static, u8> {
    move || Box::pin(ready(n))
}

#[time_me]
fn followed(n: u8) -> impl Future<Output = u8> + Send + Unpin + 'static + use<> {
    ready(n)
}

#[time_me(call)]
fn call(n: u8) -> impl Future<Output = Result<u8, ()>> + Clone {
    Cloned(n)
}

#[count_me]
fn counted(n: u8) -> impl Future<Output = Result<u8, ()>> + Clone {
    Cloned(n)
}

fn main() {
    drop((cloned(1).clone(), cloned_with_outcomes(1), either(1), result(1), option(1), pair(1)));
    drop((alias(), iterator(1), closure(1), followed(1), call(1).clone(), counted(1).clone()));
}
