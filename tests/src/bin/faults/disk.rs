//! A small disk for the journal, which can be filled up.

use anyhow::{Context, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How large it is.
const BYTES: u64 = 64 << 20;

/// A tmpfs, mounted until this is dropped.
#[derive(Debug)]
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// Mounts it in a folder.
    pub(crate) fn mount(folder: &Path) -> anyhow::Result<Self> {
        let size = format!("size={BYTES}");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &size, "zibrato-faults"]).arg(folder);
        let output = command.output().context("`mount` is not there")?;
        ensure!(
            output.status.success(),
            "no disk can be mounted, and a full disk is one of the faults; run this as root, where \
             mounting is allowed (a container needs the capability SYS_ADMIN): {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(Self(folder.to_owned()))
    }

    /// Takes all that is free.
    pub(crate) fn fill(&self) -> anyhow::Result<()> {
        let zeros = vec![0; 1 << 20];
        let mut file = std::fs::File::create(self.filler())?;
        let mut piece = zeros.len();
        // In ever smaller pieces, to the last page.
        while piece >= 512 {
            if std::io::Write::write_all(&mut file, &zeros[..piece]).is_err() {
                piece /= 2;
            }
        }
        Ok(())
    }

    /// Gives it back.
    pub(crate) fn free(&self) -> anyhow::Result<()> {
        std::fs::remove_file(self.filler()).context("the disk was not full")
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // For whoever wants to know why something is missing.
        let kept = self.0.with_extension("kept");
        drop(Command::new("cp").arg("-r").arg(self.0.join("journal")).arg(kept).output());
        // It is gone with the last process of the run all the same; see the script.
        drop(Command::new("umount").arg("--lazy").arg(&self.0).output());
    }
}
