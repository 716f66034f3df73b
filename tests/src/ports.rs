//! Ports that no other test uses: blocks of consecutive ports, each reserved by a lock on a file.
//!
//! Tests run in separate processes, so another test may take a free port before a program binds it.
//! The lock reserves the block. The ports are below the range of ephemeral ports.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;

/// Number of ports in a block.
pub const PORTS: u16 = 16;

/// The first port of the first block, and the number of blocks, which end at 32,000.
const FIRST: u16 = 16_000;
const BLOCKS: u16 = 1_000;

/// A block of [`PORTS`] consecutive free ports on 127.0.0.1, reserved until it is dropped.
#[derive(Debug)]
pub struct Ports {
    first: u16,
    _lock: File,
}

impl Ports {
    /// Reserves a block.
    ///
    /// # Panics
    /// If no block is free.
    #[must_use]
    pub fn take() -> Self {
        let folder = folder();
        // The search begins at a different block in each process, to avoid collisions.
        let begin = u16::try_from(std::process::id() * 7 % u32::from(BLOCKS)).unwrap_or(0);
        let blocks = (0..BLOCKS).map(|n| FIRST + (begin + n) % BLOCKS * PORTS);
        let taken = blocks.filter_map(|first| {
            let lock = File::create(folder.join(first.to_string())).ok()?;
            lock.try_lock().ok()?;
            let free = (first..first + PORTS).all(|p| TcpListener::bind(("127.0.0.1", p)).is_ok());
            free.then_some(Self { first, _lock: lock })
        });
        let Some(ports) = { taken }.next() else {
            panic!("no {PORTS} consecutive ports are free; locks are in {}", folder.display())
        };
        ports
    }

    /// The port at `place`, 0 to 15.
    ///
    /// # Panics
    /// If `place` is above 15.
    #[must_use]
    #[track_caller]
    pub fn at(&self, place: u16) -> u16 {
        assert!(place < PORTS, "a block has {PORTS} ports, not one at {place}");
        self.first + place
    }
}

fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join("zibrato-test-ports");
    if let Err(error) = std::fs::create_dir_all(&folder) {
        panic!("{}: {error}", folder.display());
    }
    folder
}

#[cfg(test)]
mod tests {
    use super::{PORTS, Ports};

    #[test]
    fn two_blocks_never_share_a_port() {
        let (a, b) = (Ports::take(), Ports::take());
        assert!(a.at(0).abs_diff(b.at(0)) >= PORTS);
    }
}
