//! For tests: what was recorded, without a broker.
//!
//! [`capture`] returns what the current thread records. Tests do not disturb each other, and need
//! no instrument.
//!
//! ```
//! use zibrato::{count_me, testing::{assert_counted, capture}};
//!
//! #[count_me(name = "orders")]
//! fn order() {}
//!
//! let capture = capture();
//! order();
//! order();
//! assert_counted!(capture, "orders", 2);
//! assert_eq!(capture.counter("info", "orders"), 2.0);
//! ```
//!
//! # What is captured
//!
//! | code under test | use |
//! |---|---|
//! | runs on the thread of the test, also in `#[tokio::test]` with its default runtime | [`capture`] |
//! | runs on threads that the test starts | [`capture`], and [`Capture::attach`] in each thread |
//! | runs in tasks that the test spawns, on any runtime | [`capture`], and [`Capture::in_task`] around each task |
//! | starts threads or tasks itself: servers, `rayon`, `#[tokio::test(flavor = "multi_thread")]` | [`capture_process`] |
//!
//! A captured reading is not delivered and not in [`Stats`](crate::Stats), also if an instrument is
//! installed. Only the gauges of running calls are recorded in both, because each call that begins
//! has to end. A captured reading has the source of the installed instrument, or
//! [`DEFAULT_SOURCE`](crate::DEFAULT_SOURCE).
//!
//! A thread that is attached to several captures records into the last of them; that of the process
//! comes after all of them.
//!
//! # A name that was not recorded
//!
//! [`Capture::counter`], [`gauge`](Capture::gauge) and [`timer`](Capture::timer) panic if nothing
//! was recorded under that name, and say what was:
//!
//! ```should_panic
//! # let capture = zibrato::testing::capture();
//! zibrato::count!("info", "http.requests", tags(status = 200));
//! capture.counter("info", "http.request");
//! ```
//!
//! ```text
//! counter `http.request` at level `info` was not recorded; did you mean `http.requests`?
//! recorded, the nearest name first:
//!   counter info http.requests status=200: 1 (1 reading)
//! ```
//!
//! # `cargo test` and `cargo nextest`
//!
//! `cargo test` runs the tests of a file as threads of one process. With [`capture`] they do not
//! see each other. With [`capture_process`] they wait for each other, and a capture also sees what
//! tests without a capture record meanwhile. `cargo nextest run` runs each test in a process of its
//! own, so a capture of the process contains one test.

pub(crate) mod asserts;
mod lookup;
mod report;

pub use lookup::Tagged;

pub use crate::sdk::{Attached, Capture, InTask, capture, capture_process, capture_process_within};
#[doc(inline)]
pub use crate::{assert_counted, assert_gauge, assert_histogram, assert_timed};
