//! Standard output of commands. If it cannot be written, they exit with 74, and the error names
//! stdout.

use super::exit::{Exit, Failure};
use super::stderr::can_wait;
use rustix::io::Errno;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};

/// Size of the buffer, in bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// Prints a text on standard output.
///
/// It is not a failure if the reader has closed its end.
///
/// # Errors
/// [`Failure`] with 74, which names stdout, if it cannot be written.
pub fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Like [`print`], for bytes.
pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut output = Output::new();
    // `finish` reports it.
    output.write_all(bytes).ok();
    output.finish()
}

/// Standard output, buffered. After an error nothing more is written.
///
/// Errors of single writes can be ignored: [`finish`](Self::finish) returns the first one.
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

    /// Writes the buffer, and returns the first error.
    ///
    /// # Errors
    /// [`Failure`] with 74, which names stdout. A reader that has closed its end is not a failure.
    pub fn finish(mut self) -> Result<(), Failure> {
        let flushed = self.buffer.flush();
        match self.buffer.get_ref().broken {
            Some(error) => stdout_failure(error.into()),
            None => flushed.or_else(stdout_failure),
        }
    }
}

/// Classifies an error of standard output: success if its reader has closed it.
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

/// The descriptor itself. The standard library ignores errors of one that is not open for writing.
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

/// Writes some bytes, and waits if another process that shares the file has made it non-blocking.
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
    fn a_closed_reader_is_not_an_error_and_a_full_disk_is() {
        stdout_failure(io::ErrorKind::BrokenPipe.into()).unwrap();
        let failure = stdout_failure(io::ErrorKind::StorageFull.into()).unwrap_err();
        assert_eq!(failure.exit as u8, 74);
        assert!(failure.message.starts_with("stdout cannot be written: "), "{failure}");
    }
}
