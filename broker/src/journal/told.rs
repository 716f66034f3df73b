//! Until when readers may have been told that they have everything, kept for the broker that comes
//! after this one.
//!
//! A window that a reader has closed because of that is never opened again. The stamps of the last
//! batches are not enough to go on from: readers were told of the time after them too, and when the
//! clock is set back before the next broker starts, that would stamp batches into closed windows.
//!
//! Eight bytes of time and four of checksum, written over in place, so that a full disk is no
//! reason not to. Not synced: it is for a broker that is killed, and a machine that fails at the
//! moment when its clock goes back is beyond it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

const FILE: &str = "told";

/// How far ahead is written down what may be told; the next time has to come before that.
pub(super) const AHEAD_MS: u64 = 2_000;

/// The file, if there can be one.
#[derive(Debug)]
pub(crate) struct Told(Option<File>);

impl Told {
    /// Opens it, and makes it if need be. Gives what stands in it; 0 if that is nothing, or damaged.
    pub(super) fn open(directory: &Path) -> (Self, u64) {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(directory.join(FILE));
        let mut bytes = [0; 12];
        let read = match &file {
            Ok(file) => file.read_exact_at(&mut bytes, 0).is_ok(),
            Err(error) => {
                tracing::debug!(event = "told_not_opened", %error);
                false
            }
        };
        let ms = u64::from_be_bytes(std::array::from_fn(|at| bytes[at]));
        (Self(file.ok()), if read && bytes == encode(ms) { ms } else { 0 })
    }

    /// Writes down that anything before this time may be told from now on.
    pub(super) fn put(&self, ms: u64) {
        let Some(file) = &self.0 else { return };
        if let Err(error) = file.write_all_at(&encode(ms), 0) {
            // It matters only if the clock is set back before the next start.
            tracing::debug!(event = "told_not_written", %error);
        }
    }
}

fn encode(ms: u64) -> [u8; 12] {
    let ms = ms.to_be_bytes();
    let checksum = crc32fast::hash(&ms).to_be_bytes();
    std::array::from_fn(|at| if at < 8 { ms[at] } else { checksum[at - 8] })
}

#[cfg(test)]
mod tests {
    use super::Told;

    #[test]
    fn what_was_told_is_known_after_a_restart_unless_it_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let (told, before) = Told::open(dir.path());
        assert_eq!(before, 0);
        told.put(1_700_000_000_000);
        told.put(1_700_000_003_000);
        assert_eq!(Told::open(dir.path()).1, 1_700_000_003_000);
        let path = dir.path().join("told");
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(Told::open(dir.path()).1, 0);
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(Told::open(dir.path()).1, 0);
        }
    }
}
