//! A future that is captured wherever it is polled.

use super::log::Log;
use super::threads::attach;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};

pin_project! {
    /// A future whose recordings are captured. Returned by
    /// [`Capture::in_task`](crate::testing::Capture::in_task).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct InTask<F> {
        // `None` while it is dropped.
        #[pin]
        future: Option<F>,
        log: Weak<Log>,
    }

    impl<F> PinnedDrop for InTask<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _attached = attach(this.log);
            this.future.set(None);
        }
    }
}

impl<F> InTask<F> {
    pub(super) const fn new(future: F, log: Weak<Log>) -> Self {
        Self { future: Some(future), log }
    }
}

impl<F: Future> Future for InTask<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _attached = attach(this.log);
        match this.future.as_pin_mut() {
            Some(future) => future.poll(context),
            None => Poll::Pending,
        }
    }
}
