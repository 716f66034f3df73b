//! Instrumentation for applications: counts and times functions, and pushes the results to a broker.
//!
//! Put an attribute on a function, and its counts and timings arrive in Graphite, Librato, Slack or
//! a terminal:
//!
//! ```
//! use zibrato::{count_me, gauge, time_me};
//!
//! #[count_me(level = "info", name = "shop.orders")]
//! #[time_me]
//! fn order(items: &[u32]) -> u32 {
//!     gauge!("debug", "shop.basket", items.len());
//!     items.iter().sum()
//! }
//!
//! fn main() -> Result<(), zibrato::InstallError> {
//!     let _zibrato = zibrato::Zibrato::builder().source("web-1").install()?;
//!     order(&[3, 4]);
//!     Ok(())
//! }
//! ```
//!
//! The program pushes over ZeroMQ to `zibrato-broker`, which publishes by level to one worker per
//! backend: Carbon, Librato, Slack. Without a broker the program runs in the same way: readings are
//! summed up until one is reachable, and [`Zibrato::stats`] says at any time what became of each of
//! them. While nothing is installed, measuring is a no-op.
//!
//! # What to use when
//!
//! | to measure | use |
//! |---|---|
//! | calls of a function | [`#[count_me]`](macro@count_me), with `on = "err"` only the failed ones |
//! | how long a function takes | [`#[time_me]`](macro@time_me) |
//! | succeeded, failed, panicked and cancelled calls as separate series | [`outcomes`](macro@count_me#outcomes) on either |
//! | the size of results, in bytes or any unit | [`#[histogram_me]`](macro@histogram_me) |
//! | slow calls | [`slow("250ms")`](macro@time_me#slow-calls) on `#[time_me]` |
//! | how many calls are running | [`in_flight`](macro@count_me#running-calls-and-polls) on either |
//! | very frequent, very short calls | `sample = 100` on [`#[time_me]`](macro@time_me): times some, counts all |
//! | every method of a type | [either on its `impl`](macro@count_me#on-a-block) |
//! | one series per route, status, tenant … | [`tags(..)`](macro@count_me#tags) on all of these; [`CounterHandle::with`] |
//! | a rare event, such as a deploy or a migration | [`annotate!`], or [`#[annotate_me]`](macro@annotate_me) on a function |
//! | something inside a function | [`count!`], [`time!`], [`gauge!`], [`histogram!`] |
//! | a scope whose name is known at run time | [`CountMe::new`], [`TimeMe::new`] |
//! | names known at run time | [`installed`] and the [`Zibrato`] handle, which gives [handles](Zibrato::counter) as cheap as the macros |
//! | in a test: what was recorded | [`testing::capture`], or [`testing::capture_process`] for all threads |
//!
//! Timers are in seconds. A level is any word. It routes measurements; levels have no order.
//!
//! Nothing here is async-signal-safe: do not measure in signal handlers. A global allocator may use
//! [`count!`] with a constant name and constant tags, and no other macro. What it counts while the
//! instrument itself allocates is a counted loss.
//!
//! # Resources
//!
//! The instrument needs two threads, named `zibrato-sender` and `zibrato-log`, two threads of
//! libzmq, and nine file descriptors. While the broker is silent, a thread `zibrato-look` finds the
//! reason: after two and ten seconds, and then once a minute. On Linux 5.9 and later the descriptors belong to the sender alone: they are in
//! `/proc/PID/task/TID/fd` and not in `/proc/PID/fd`, the program may close all descriptors that it
//! does not know, and the program's own descriptors do not count against the sender's limit
//! (`ulimit -n`). It also needs about 3 MiB of memory and, if `ulimit -v` allows it, 300 MiB of
//! address space; glibc reserves most of that for the heaps of threads and never uses it. If a
//! resource is short, [`Builder::install`] returns [`BuildError::Resources`], and the program can
//! continue without an instrument.
//!
//! A sandbox must allow `close_range` or `unshare(CLONE_FILES)`. If both fail, the descriptors
//! belong to the program, which must not close them.
//!
//! libzmq and Rust abort a process that runs out of memory. So the sender sends nothing while less
//! than 1 MiB can be allocated. It has no control over what libzmq allocates for messages that it
//! receives.
//!
//! # Notices
//!
//! What a program should know about its measurements is in its own log, through the [`log`] facade:
//! target `zibrato`, levels `warn` and `info`. Notices are rare: each is given once, or once an hour.
//! Only the thread `zibrato-log` calls the logger. A program without a logger gets no notices.
//!
//! [`log`]: https://docs.rs/log
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `log` | yes | notices in the log of the program |
//! | `macros` | yes | the attributes and macros |
//! | `sdk` | yes | the instrument: builder, guards, handle, sender |
//! | `curve` | with `sdk` | keys, for clients and brokers |
//! | `window` | no | aggregation into windows, for your own workers |
//! | `daemon` | no | command line, logging and signals of the daemons |
//!
//! # Dependencies
//!
//! With default features: `zmq` (the sockets), `rmp` (MessagePack), `thiserror` (error types),
//! `log` (notices in the log of the program), `once_cell` (call sites that are created once, which may fail), `hashbrown` and `foldhash` (series
//! that are looked up by what the caller gives), `libc` (hooks for exit and fork,
//! and a thread without Rust's runtime: `atexit`, `pthread_atfork`, `pthread_create`), and for the
//! macros `syn`, `quote` and `proc-macro2`.

#[cfg(any(feature = "curve", feature = "daemon"))]
mod bounded;
pub mod clock;
#[cfg(feature = "curve")]
pub mod curve;
#[cfg(feature = "daemon")]
pub mod daemon;
/// Identifies what listens on a port, for the SDK and the workers. Nothing here is stable.
#[cfg(feature = "curve")]
#[doc(hidden)]
pub mod listener;
#[cfg(feature = "macros")]
mod macros;
mod measurement;
mod moments;
/// A ZeroMQ socket with a monitor, for the SDK and the daemons. Nothing here is stable.
#[cfg(feature = "curve")]
#[doc(hidden)]
pub mod monitored;
mod percentile;
#[cfg(feature = "curve")]
pub mod resources;
#[cfg(feature = "sdk")]
mod sdk;
mod sketch;
#[cfg(feature = "window")]
mod sparkline;
mod summary;
#[cfg(feature = "sdk")]
pub mod testing;
#[cfg(feature = "window")]
pub mod window;
pub mod wire;

// The public interface is:
pub use measurement::{
    Annotation, AnnotationError, AnnotationLink, DEFAULT_SOURCE, Gauge, Kind, Level,
    MAX_DESCRIPTION_BYTES, MAX_HREF_BYTES, MAX_LEVEL_BYTES, MAX_LINKS, MAX_NAME_BYTES,
    MAX_TITLE_BYTES, MAX_UNIT_BYTES, Name, Source, Tags, TextError, TextProblem, Unit, check_level,
    check_name, check_unit,
};
pub use percentile::{Percentile, PercentileError};
pub use sketch::Sketch;
pub use summary::Summary;

#[cfg(feature = "sdk")]
pub use measurement::{Measurement, RecordedAnnotation};
#[cfg(feature = "sdk")]
pub use sdk::{
    Amount, BuildError, Builder, CountMe, CounterHandle, GaugeHandle, Guard, HistogramHandle,
    InstallError, Loss, Outcome, Stats, TagValue, TimeMe, TimerGuard, TimerHandle, Unreachable,
    VariableProblem, Zibrato, installed,
};
/// The ZeroMQ binding, so that you give [`Builder::context`] a context of the right version.
#[cfg(feature = "sdk")]
pub use zmq;

#[cfg(feature = "macros")]
pub use macros::{
    TagValue, annotate, annotate_me, count, count_me, gauge, histogram, histogram_me, time, time_me,
};

/// What generated code calls. Nothing here is stable.
#[cfg(feature = "sdk")]
#[doc(hidden)]
pub mod __private {
    pub use crate::sdk::{
        CallTags, Choice, Chosen, Constant, ConstantTag, ConstantText, Draft, Family, Few, Given,
        GivenAny, GivenPlain, InFlight, Key, KeyHash, Measures, Metadata, OVERFLOW_NAME, Plain,
        PlainText, PlainValue, Reading, Shape, Shown, Site, TagText, TagValue, Target, Variant,
        annotates, constant, count, draft, gauge, histogram, in_flight, join, joined_length,
        looked, name, scope, tag, text, time, time_chosen, timed,
    };
    pub use crate::testing::asserts::{
        expect_counted, expect_gauge, expect_histogram, expect_timed,
    };
    pub use std::boxed::Box;
    #[cfg(feature = "macros")]
    pub use zibrato_macros::linted;
}
