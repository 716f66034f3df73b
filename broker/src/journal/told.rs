//! Until when readers may have been told that they have everything, kept for the broker that comes
//! after this one.
//!
//! A window that a reader has closed because of that is never opened again. The stamps of the last
//! batches are not enough to go on from: readers were told of the time after them too, and when the
//! clock is set back before the next broker starts, that would stamp batches into closed windows.
//!
//! Eight bytes of time and four of checksum, written over in place, so that a full disk is no
//! reason not to. Not synced: it is for a broker that is killed, and a machine that fails at the
//! moment when its clock goes back is beyond it. Opened anew each time, since the file may have been
//! deleted meanwhile.

use super::directory::Directory;
use rustix::fs::OFlags;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

const FILE: &str = "told";

/// How far ahead is written down what may be told; the next time has to come before that.
pub(super) const AHEAD_MS: u64 = 2_000;

/// The file.
#[derive(Debug)]
pub(crate) struct Told(Arc<Directory>);

impl Told {
    /// The file in a directory, and what stands in it; 0 if that is nothing, or damaged.
    pub(super) fn open(directory: Arc<Directory>) -> (Self, u64) {
        let mut bytes = [0; 12];
        let home = directory.home();
        let read = home
            .and_then(|home| home.open_file(FILE, OFlags::empty())?.read_exact_at(&mut bytes, 0));
        if let Err(error) = &read {
            tracing::debug!(event = "told_not_read", %error);
        }
        let ms = u64::from_be_bytes(std::array::from_fn(|at| bytes[at]));
        (Self(directory), if read.is_ok() && bytes == encode(ms) { ms } else { 0 })
    }

    /// Writes down that anything before this time may be told from now on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn put(&self, ms: u64) -> io::Result<()> {
        let file = self.0.home()?.open_file(FILE, OFlags::CREATE)?;
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
    use super::super::directory::Directory;
    use super::Told;
    use std::sync::Arc;

    #[test]
    fn what_was_told_is_known_after_a_restart_unless_it_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Arc::new(Directory::open(dir.path()).unwrap());
        let open = || Told::open(Arc::clone(&directory));
        let (told, before) = open();
        assert_eq!(before, 0);
        told.put(1_700_000_000_000).unwrap();
        told.put(1_700_000_003_000).unwrap();
        assert_eq!(open().1, 1_700_000_003_000);
        let path = dir.path().join("told");
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
