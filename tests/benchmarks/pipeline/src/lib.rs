//! Shared parts of the pipeline's benchmarks: peers with their own ZMTP, the measured processes,
//! and the table.

mod carbon;
mod chart;
mod closed_loop;
mod place;
mod process;
mod program;
mod table;
mod zmtp;

// The public interface is:
pub use carbon::Carbon;
pub use chart::svg;
pub use closed_loop::{Load, Loop, Measured, batches, lines};
pub use place::{apart, confine_this};
pub use process::{Cpu, Memory, Process, broker, cpu_of, cpu_of_this_thread, installed, scratch};
pub use program::{Part, print, program, rows};
pub use table::{Row, json, load, median, number, text};
pub use zmtp::{Peer, greeting, put_frame};

/// Any error; it is printed, and ends the benchmark.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
