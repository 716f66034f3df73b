//! Standard output of commands: what cannot be written ends them with 74, and names stdout.

use super::exit::{Exit, Failure};
use rustix::io::Errno;
use std::io::{self, BufWriter, Write};

/// How much is gathered before it is written.
const BUFFER_BYTES: usize = 64 << 10;

/// Prints a text on standard output.
///
/// A reader that has closed its end has seen enough: that is no failure.
///
/// # Errors
/// [`Failure`] with 74, which names stdout, when it cannot be written.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut output = Output::new();
    // `finish` tells of it.
    output.write_all(text.as_bytes()).ok();
    output.finish()
}

/// Standard output, buffered. After an error nothing more is written.
///
/// Who prints while doing something else may ignore errors of single writes:
/// [`finish`](Self::finish) tells of the first.
#[derive(Debug)]
pub struct Output {
    buffer: BufWriter<Stdout>,
}

impl Default for Output {
    fn default() -> Self {
        Self { buffer: BufWriter::with_capacity(BUFFER_BYTES, Stdout::default()) }
    }
}

impl Output {
    /// Standard output of this process.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes what is buffered, and tells of the first error.
    ///
    /// # Errors
    /// [`Failure`] with 74, which names stdout. A reader that has closed its end is no failure.
    pub fn finish(mut self) -> Result<(), Failure> {
        let flushed = self.buffer.flush();
        match self.buffer.get_ref().broken {
            Some(error) => stdout_failure(error.into()),
            None => flushed.or_else(stdout_failure),
        }
    }
}

/// What an error of standard output means: an end without more words if its reader has closed it.
///
/// # Errors
/// [`Failure`] with 74, which names stdout, for every other error.
pub fn stdout_failure(error: io::Error) -> Result<(), Failure> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(());
    }
    Err(Failure::new(Exit::Io, format!("stdout cannot be written: {error}")))
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.buffer.flush()
    }
}

/// The descriptor itself. The standard library's takes one that is not open for writing for fine.
#[derive(Debug, Default)]
struct Stdout {
    /// The first error.
    broken: Option<Errno>,
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(error) = self.broken {
            return Err(error.into());
        }
        rustix::io::write(io::stdout(), bytes).map_err(|error| {
            if error != Errno::INTR {
                self.broken = Some(error);
            }
            error.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::stdout_failure;
    use std::io;

    #[test]
    fn a_closed_reader_is_a_quiet_end_and_a_full_disk_is_not() {
        stdout_failure(io::ErrorKind::BrokenPipe.into()).unwrap();
        let failure = stdout_failure(io::ErrorKind::StorageFull.into()).unwrap_err();
        assert_eq!(failure.exit as u8, 74);
        assert!(failure.message.starts_with("stdout cannot be written: "), "{failure}");
    }
}
