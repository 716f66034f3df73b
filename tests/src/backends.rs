//! The worker programs that deliver to a backend: one row for each.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A worker program, and the flags that it needs.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Backend {
    /// The program, such as `zibrato-carbon`.
    pub program: &'static str,
    /// The flags without which it does not start; `FILE` stands for a file with its secret.
    flags: &'static [&'static str],
    secret: &'static str,
}

/// Every backend. The tests cover each row, including new ones. A tidy test compares the rows with
/// the existing programs.
pub const BACKENDS: [Backend; 3] = [
    Backend { program: "zibrato-carbon", flags: &[], secret: "" },
    Backend {
        program: "zibrato-librato",
        flags: &["--username", "a", "--apitoken-file", "FILE", "--api-url", "http://127.0.0.1:1"],
        secret: "tok123\n",
    },
    Backend {
        program: "zibrato-slack",
        flags: &["--webhook-url-file", "FILE"],
        secret: "http://127.0.0.1:1/x\n",
    },
];

impl Backend {
    /// Its name without `zibrato-`, such as `carbon`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.program.trim_start_matches("zibrato-")
    }

    /// Flags with which it starts. Its secret, if it has one, is written to a file in `folder`.
    ///
    /// # Panics
    /// If the file cannot be written.
    #[must_use]
    pub fn flags(&self, folder: &Path) -> Vec<String> {
        let file = folder.join(self.name());
        if !self.secret.is_empty() {
            let written = std::fs::write(&file, self.secret)
                .and_then(|()| std::fs::set_permissions(&file, Permissions::from_mode(0o600)));
            assert!(written.is_ok(), "{}: {written:?}", file.display());
        }
        let flag = |flag: &&str| match *flag {
            "FILE" => file.display().to_string(),
            flag => flag.to_owned(),
        };
        self.flags.iter().map(flag).collect()
    }
}
