//! The watermark on disk: the time up to which readers may have been told that they have every batch.
//!
//! A reader closes the windows that end before the watermark, and never opens them again. After a
//! restart, the stamps of the last batches do not suffice: the watermark was later. If the clock is
//! set back before the restart, new batches would get stamps in closed windows. So the next broker
//! continues after the time in this file.
//!
//! The file has eight bytes of time and four of checksum. It is overwritten in place, which works
//! on a full disk too. It is not synced: it is needed after a broker was killed, not after a
//! machine has failed while its clock is set back. It is opened for each write, because it may have
//! been deleted.

use crate::journal::folder::Directory;
use rustix::fs::OFlags;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

const FILE: &str = "watermark";

/// Time by which the value in the file is ahead of the clock. The next write has to come before
/// that time is over.
pub(crate) const AHEAD_MS: u64 = 2_000;

/// The file.
#[derive(Debug)]
pub(crate) struct WatermarkFile(Arc<Directory>);

impl WatermarkFile {
    /// Opens the file, and reads its time; 0 if there is none, or it is damaged.
    pub(crate) fn open(directory: Arc<Directory>) -> (Self, u64) {
        let mut bytes = [0; 12];
        let folder = directory.folder();
        let read = folder.and_then(|folder| {
            folder.open_file(FILE, OFlags::empty())?.read_exact_at(&mut bytes, 0)
        });
        if let Err(error) = &read {
            tracing::debug!(event = "watermark_not_read", %error);
        }
        let ms = u64::from_be_bytes(std::array::from_fn(|at| bytes[at]));
        (Self(directory), if read.is_ok() && bytes == encode(ms) { ms } else { 0 })
    }

    /// Writes a time. From then on the watermark may advance to it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn put(&self, ms: u64) -> io::Result<()> {
        let file = self.0.folder()?.open_file(FILE, OFlags::CREATE)?;
        file.write_all_at(&encode(ms), 0)
    }
}

fn encode(ms: u64) -> [u8; 12] {
    let ms = ms.to_be_bytes();
    let checksum = crc32fast::hash(&ms).to_be_bytes();
    std::array::from_fn(|at| if at < 8 { ms[at] } else { checksum[at - 8] })
}

#[cfg(test)]
mod tests {
    use super::WatermarkFile;
    use crate::journal::folder::Directory;
    use std::sync::Arc;

    #[test]
    fn it_is_known_after_a_restart_unless_it_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Arc::new(Directory::open(dir.path()).unwrap());
        let open = || WatermarkFile::open(Arc::clone(&directory));
        let (file, before) = open();
        assert_eq!(before, 0);
        file.put(1_700_000_000_000).unwrap();
        file.put(1_700_000_003_000).unwrap();
        assert_eq!(open().1, 1_700_000_003_000);
        let path = dir.path().join("watermark");
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(open().1, 0);
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(open().1, 0);
        }
    }
}
