//! Standard output of commands: what cannot be written ends them with 74, and names stdout.

use super::exit::{Exit, Failure};
use super::stderr::can_wait;
use rustix::io::Errno;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};

/// How much is gathered before it is written.
const BUFFER_BYTES: usize = 64 << 10;

/// Prints a text on standard output.
///
/// A reader that has closed its end has seen enough: that is no failure.
///
/// # Errors
/// [`Failure`] with 74, which names stdout, when it cannot be written.
pub fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// As [`print`], of bytes.
pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut output = Output::new();
    // `finish` reports it.
    output.write_all(bytes).ok();
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
        write(io::stdout().as_fd(), bytes).map_err(|error| {
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

/// Writes something, and waits for a file that somebody who shares it has made non-blocking.
fn write(to: BorrowedFd<'_>, bytes: &[u8]) -> rustix::io::Result<usize> {
    loop {
        match rustix::io::write(to, bytes) {
            Err(Errno::AGAIN) if can_wait(to) => {}
            written => return written,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{stdout_failure, write};
    use std::io::{self, Read};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::thread::Builder;

    #[test]
    fn a_non_blocking_file_gets_everything() {
        let (to, mut from) = UnixStream::pair().unwrap();
        to.set_nonblocking(true).unwrap();
        let text = vec![b'x'; 4 << 20];
        let length = text.len();
        let writes = Builder::new().spawn(move || {
            let mut rest = &text[..];
            while !rest.is_empty() {
                let count = write(to.as_fd(), rest).unwrap();
                rest = &rest[count..];
            }
        });
        let mut read = Vec::new();
        from.read_to_end(&mut read).unwrap();
        writes.unwrap().join().unwrap();
        assert_eq!(read.len(), length);
    }

    #[test]
    fn a_closed_reader_is_a_quiet_end_and_a_full_disk_is_not() {
        stdout_failure(io::ErrorKind::BrokenPipe.into()).unwrap();
        let failure = stdout_failure(io::ErrorKind::StorageFull.into()).unwrap_err();
        assert_eq!(failure.exit as u8, 74);
        assert!(failure.message.starts_with("stdout cannot be written: "), "{failure}");
    }
}
