//! A small disk for the journal, which can be filled up, unmounted, and made to fail.

use anyhow::{Context, ensure};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use zibrato_tests::FailingDisk;

/// Its size.
const BYTES: u64 = 64 << 20;

/// A tmpfs, mounted at `disk` and once more at `mount`, where the broker sees it.
#[derive(Debug)]
pub(crate) struct Disk {
    disk: PathBuf,
    mount: PathBuf,
    failing: FailingDisk,
}

impl Disk {
    /// Mounts it below a folder.
    pub(crate) fn mount(folder: &Path) -> anyhow::Result<Self> {
        let (disk, mount) = (folder.join("disk"), folder.join("mount"));
        for folder in [&disk, &mount] {
            std::fs::create_dir_all(folder)?;
        }
        let size = format!("size={BYTES}");
        run("mount", &["-t", "tmpfs", "-o", &size, "zibrato-faults"], &[&disk]).context(
            "no disk can be mounted, and a full disk is one of the faults; run this as root, where \
             mounting is allowed (a container needs the capability SYS_ADMIN)",
        )?;
        let failing = FailingDisk::new(&mount);
        let disk = Self { disk, mount, failing };
        disk.attach()?;
        Ok(disk)
    }

    /// Where the broker keeps its journal.
    pub(crate) fn journal(&self) -> PathBuf {
        self.mount.join("journal")
    }

    /// A folder on the disk itself, which stays where it is when the disk is unmounted.
    pub(crate) fn folder(&self) -> &Path {
        &self.disk
    }

    /// Puts a program on it.
    pub(crate) fn hold(&self, command: &mut Command) {
        self.failing.hold(command);
    }

    /// Takes all that is free.
    pub(crate) fn fill(&self) -> anyhow::Result<()> {
        let zeros = vec![0; 1 << 20];
        let mut file = File::create(self.filler())?;
        let mut piece = zeros.len();
        // In ever smaller pieces, to the last page.
        while piece >= 512 {
            if file.write_all(&zeros[..piece]).is_err() {
                piece /= 2;
            }
        }
        Ok(())
    }

    /// Gives it back.
    pub(crate) fn free(&self) -> anyhow::Result<()> {
        std::fs::remove_file(self.filler()).context("the disk was not full")
    }

    /// Every write fails with this error.
    pub(crate) fn fail(&self, error: Errno) {
        self.failing.fail(error);
    }

    /// Writes are taken again.
    pub(crate) fn mend(&self) {
        self.failing.mend();
    }

    /// Moves the journal's folder away.
    pub(crate) fn move_away(&self) -> anyhow::Result<()> {
        Ok(std::fs::rename(self.disk.join("journal"), self.disk.join("away"))?)
    }

    /// Moves it back. Nobody may have made another one meanwhile.
    pub(crate) fn move_back(&self) -> anyhow::Result<()> {
        let journal = self.disk.join("journal");
        ensure!(!journal.exists(), "a second journal was made where the first one had been");
        Ok(std::fs::rename(self.disk.join("away"), journal)?)
    }

    /// Takes the disk away from the broker; an empty folder is left, on another disk.
    pub(crate) fn detach(&self) -> anyhow::Result<()> {
        run("umount", &["--lazy"], &[&self.mount])
    }

    /// Gives it back.
    pub(crate) fn attach(&self) -> anyhow::Result<()> {
        let left = std::fs::read_dir(&self.mount)?.count();
        ensure!(left == 0, "something was written where the disk had been mounted");
        run("mount", &["--bind"], &[&self.disk, &self.mount])
    }

    fn filler(&self) -> PathBuf {
        self.disk.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // For whoever wants to know why something is missing.
        let kept = self.disk.with_extension("kept");
        drop(Command::new("cp").arg("-r").arg(&self.disk).arg(kept).output());
        // It is gone with the last process of the run all the same; see the script.
        for mounted in [&self.mount, &self.disk] {
            drop(run("umount", &["--lazy"], &[mounted]));
        }
    }
}

fn run(program: &str, args: &[&str], paths: &[&PathBuf]) -> anyhow::Result<()> {
    let paths = paths.iter().map(|path| OsStr::new(path.as_path()));
    let args = args.iter().map(OsStr::new).chain(paths);
    let output = Command::new(program).args(args).output().with_context(|| program.to_owned())?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "{program}: {said}");
    Ok(())
}
