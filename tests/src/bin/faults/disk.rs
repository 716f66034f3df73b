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

/// A tmpfs, mounted at `disk` and again at `mount`, where the broker uses it.
#[derive(Debug)]
pub(crate) struct Disk {
    disk: PathBuf,
    mount: PathBuf,
    failing: FailingDisk,
}

impl Disk {
    /// Mounts it in a folder.
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

    /// The folder of the broker's journal.
    pub(crate) fn journal(&self) -> PathBuf {
        self.mount.join("journal")
    }

    /// A folder on the disk itself, which stays accessible when the disk is unmounted.
    pub(crate) fn folder(&self) -> &Path {
        &self.disk
    }

    /// Puts a program on the disk.
    pub(crate) fn hold(&self, command: &mut Command) {
        self.failing.hold(command);
    }

    /// Fills the disk.
    pub(crate) fn fill(&self) -> anyhow::Result<()> {
        let zeros = vec![0; 1 << 20];
        let mut file = File::create(self.filler())?;
        let mut piece = zeros.len();
        // In pieces that get smaller, up to the last page.
        while piece >= 512 {
            if file.write_all(&zeros[..piece]).is_err() {
                piece /= 2;
            }
        }
        Ok(())
    }

    /// Frees the space.
    pub(crate) fn free(&self) -> anyhow::Result<()> {
        std::fs::remove_file(self.filler()).context("the disk was not full")
    }

    /// Lets every write fail with this error.
    pub(crate) fn fail(&self, error: Errno) {
        self.failing.fail(error);
    }

    /// Lets writes succeed again.
    pub(crate) fn mend(&self) {
        self.failing.mend();
    }

    /// Moves the folder of the journal away.
    pub(crate) fn move_away(&self) -> anyhow::Result<()> {
        Ok(std::fs::rename(self.disk.join("journal"), self.disk.join("away"))?)
    }

    /// Moves it back. No other folder may have been created in its place.
    pub(crate) fn move_back(&self) -> anyhow::Result<()> {
        let journal = self.disk.join("journal");
        ensure!(!journal.exists(), "a second journal was created in place of the first one");
        Ok(std::fs::rename(self.disk.join("away"), journal)?)
    }

    /// Unmounts the disk from the broker's path. An empty folder on another disk remains there.
    pub(crate) fn detach(&self) -> anyhow::Result<()> {
        run("umount", &["--lazy"], &[&self.mount])
    }

    /// Mounts it there again.
    pub(crate) fn attach(&self) -> anyhow::Result<()> {
        let left = std::fs::read_dir(&self.mount)?.count();
        ensure!(left == 0, "something was written to the folder while the disk was unmounted");
        run("mount", &["--bind"], &[&self.disk, &self.mount])
    }

    fn filler(&self) -> PathBuf {
        self.disk.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Helps to find out why data is missing.
        let kept = self.disk.with_extension("kept");
        drop(Command::new("cp").arg("-r").arg(&self.disk).arg(kept).output());
        // The mount ends with the last process of the run anyway; see the script.
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
