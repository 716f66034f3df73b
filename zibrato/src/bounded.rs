//! Reads a file or pipe that a flag or variable names, with a limit on its size and on the time.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Maximum time to read a pipe or terminal to its end.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Time between two attempts to read more.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// Reads a file of at most `most` bytes and its metadata.
///
/// A pipe, such as a shell's `<(…)` or `/dev/stdin`, is read too, if it ends within five seconds.
///
/// # Errors
/// If the file cannot be read, has more bytes, does not end in time, or is an empty pipe.
pub(crate) fn read_bounded(path: &Path, most: u64) -> io::Result<(Vec<u8>, Metadata)> {
    read_within(path, most, READ_TIMEOUT)
}

fn read_within(path: &Path, most: u64, timeout: Duration) -> io::Result<(Vec<u8>, Metadata)> {
    // Without `O_NONBLOCK`, opening a pipe blocks until another program writes to it.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    let (until, mut bytes) = (Instant::now() + timeout, Vec::new());
    let mut file = file.take(most.saturating_add(1));
    loop {
        // `read_to_end` keeps the bytes that it read before an error.
        match file.read_to_end(&mut bytes) {
            Ok(_) => break,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) if Instant::now() < until => thread::park_timeout(ASK_EVERY),
            Err(_) => {
                let why = format!("did not end within {} s", timeout.as_secs_f64());
                return Err(io::Error::new(ErrorKind::TimedOut, why));
            }
        }
    }
    if bytes.len() as u64 > most {
        let why = format!("is larger than {most} bytes");
        return Err(io::Error::new(ErrorKind::FileTooLarge, why));
    }
    if bytes.is_empty() && metadata.file_type().is_fifo() {
        let why = "is a pipe that no program has written to";
        return Err(io::Error::new(ErrorKind::UnexpectedEof, why));
    }
    Ok((bytes, metadata))
}

#[cfg(test)]
mod tests {
    use super::{read_bounded, read_within};
    use std::io::{ErrorKind, Write};
    use std::os::fd::AsRawFd;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    fn fails(path: &Path) -> (ErrorKind, String) {
        let error = read_within(path, 4, Duration::from_millis(50)).unwrap_err();
        (error.kind(), error.to_string())
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        std::fs::write(&file, "four").unwrap();
        assert_eq!(read_bounded(&link, 4).unwrap().0, b"four");
        std::fs::write(&file, "fiver").unwrap();
        let large = (ErrorKind::FileTooLarge, "is larger than 4 bytes".to_owned());
        assert_eq!(fails(&file), large);
        assert_eq!(fails(Path::new("/dev/zero")), large);
        assert_eq!(fails(folder.path()).0, ErrorKind::IsADirectory);
        assert_eq!(fails(&folder.path().join("nothing")).0, ErrorKind::NotFound);
    }

    #[test]
    fn a_pipe_is_read_to_its_end_or_times_out() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        assert_eq!(fails(&fifo).0, ErrorKind::UnexpectedEof);
        let (reader, mut writer) = std::io::pipe().unwrap();
        let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        writer.write_all(b"key").unwrap();
        assert_eq!(fails(&path), (ErrorKind::TimedOut, "did not end within 0.05 s".to_owned()));
        writer.write_all(b"key").unwrap();
        drop(writer);
        assert_eq!(read_bounded(&path, 4).unwrap().0, b"key");
    }
}
