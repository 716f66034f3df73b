//! A disk that fails on demand, for one program: all its writes below a folder fail with an error,
//! such as `EIO`, until the fault is repaired. This needs neither root nor a mount nor a kernel
//! module.

use crate::running::must;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The source of the library that is loaded into the program.
const SOURCE: &str = include_str!("failing_disk.c");

/// The disk.
#[derive(Debug)]
pub struct FailingDisk {
    folder: PathBuf,
    own: TempDir,
}

impl FailingDisk {
    /// A disk for everything below `folder`, which does not fail yet.
    ///
    /// # Panics
    /// If the C compiler `cc`, which Rust itself needs for linking, does not compile the library.
    #[must_use]
    #[track_caller]
    pub fn new(folder: &Path) -> Self {
        let folder = must("an absolute folder", std::path::absolute(folder));
        let own = must("a folder for the failing disk", TempDir::new());
        let source = own.path().join("failing_disk.c");
        must("the source of the failing disk", std::fs::write(&source, SOURCE));
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
        command.arg(own.path().join("failing_disk.so")).arg(source).arg("-ldl");
        let output = must("cc", command.output());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { folder, own }
    }

    /// Puts a program that is not started yet on the disk. Libraries that it already preloads are
    /// kept.
    pub fn hold(&self, command: &mut Command) {
        let mut preload = self.own.path().join("failing_disk.so").into_os_string();
        let before = command.get_envs().find(|(name, _)| *name == "LD_PRELOAD");
        if let Some((_, Some(before))) = before {
            preload.push(":");
            preload.push(before);
        }
        command.env("LD_PRELOAD", preload);
        command.env("ZIBRATO_DISK", &self.folder);
        command.env("ZIBRATO_DISK_ERROR", self.error());
    }

    /// From now on, every change on the disk fails with this error number.
    ///
    /// # Panics
    /// If the control file cannot be written.
    #[track_caller]
    pub fn fail(&self, errno: rustix::io::Errno) {
        // Atomically, because the program may be reading.
        let new = self.own.path().join("new");
        must("the error", std::fs::write(&new, errno.raw_os_error().to_string()));
        must("the error", std::fs::rename(new, self.error()));
    }

    /// Repairs the disk.
    ///
    /// # Panics
    /// If it was not failing.
    #[track_caller]
    pub fn mend(&self) {
        must("the error", std::fs::remove_file(self.error()));
    }

    fn error(&self) -> PathBuf {
        self.own.path().join("error")
    }
}

#[cfg(test)]
mod tests {
    use super::FailingDisk;
    use crate::running::Running;
    use rustix::io::Errno;
    use std::process::Command;

    #[test]
    fn writes_to_the_folder_fail_while_the_disk_fails_and_others_do_not() {
        let (disk, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let failing = FailingDisk::new(disk.path());
        let write = |folder: &std::path::Path| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", "echo text > \"$0/file\" && mkdir -p \"$0/folder\""]).arg(folder);
            failing.hold(&mut command);
            let (status, _, log) = Running::run(&mut command);
            (status.success(), log)
        };
        assert!(write(disk.path()).0);
        failing.fail(Errno::IO);
        let (fine, log) = write(disk.path());
        assert!(
            !fine && (log.contains("I/O error") || log.contains("Input/output error")),
            "{log}"
        );
        assert!(write(elsewhere.path()).0);
        failing.mend();
        assert!(write(disk.path()).0);
    }
}
