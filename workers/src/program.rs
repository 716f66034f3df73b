//! The program around a backend: flags, logging, run, exit code.

use crate::BackendProgram;
use std::process::ExitCode;

/// Runs a worker program.
#[must_use]
pub fn main<B: BackendProgram>() -> ExitCode {
    ExitCode::FAILURE
}
