//! The test harness: starts real programs for one test, waits for them with a deadline, and ends
//! them with the test.
//!
//! Errors in the harness panic with a sentence, because a test cannot handle them.

mod accept;
mod backends;
mod broker;
mod carbon;
mod failing_disk;
pub mod fake;
mod lines;
mod ports;
mod program;
mod received;
mod recorder;
mod running;
mod stunnel;
mod supervisord;
mod wait;
mod witness;

// The public interface is:
pub use accept::accept;
pub use backends::{BACKENDS, Backend};
pub use broker::Broker;
pub use carbon::Carbon;
pub use failing_disk::FailingDisk;
pub use lines::Lines;
pub use ports::{PORTS, Ports};
pub use program::{node_modules, program, python, repository};
pub use received::{Readings, Received};
pub use recorder::Recorder;
pub use running::{Running, Signal};
pub use stunnel::Stunnel;
pub use supervisord::Supervisord;
pub use wait::{DEADLINE, wait_for, wait_until};
pub use witness::{Life, Room, Stream, Witness};
