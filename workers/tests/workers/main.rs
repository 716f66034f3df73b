//! Workers against real sockets: a publisher on one side, a backend or a receiver on the other.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests, which fail so")]

mod books;
mod carbon;
mod embedded;
mod feed;
mod flags;
mod journal;
mod program;
mod publisher;
mod replay;
mod tail;
mod trouble;
