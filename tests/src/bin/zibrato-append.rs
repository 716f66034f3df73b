//! A worker outside the crate of workers: appends the counters and annotations of each window to a file.
//!
//! A test double. It uses only the public API of the crate, and no file of the crate refers to it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zibrato::daemon::{Exit, Failure, Findings};
use zibrato::window::{Fold, Window};
use zibrato_workers::{Backend, BackendProgram, Payload, SendError};

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "File")]
struct Flags {
    /// File to append to
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

struct Append {
    path: PathBuf,
    file: Option<File>,
}

impl Backend for Append {
    fn payloads(&mut self, window: Window) -> Vec<Payload> {
        let stamp = window.stamp();
        let annotations = window.annotations().iter().map(|one| {
            let (source, annotation) = (&one.source, &one.annotation);
            format!("{stamp} {source} annotation {} {}\n", annotation.stream(), annotation.title())
        });
        let annotations: Vec<_> = annotations.collect();
        let mut lines = Vec::new();
        for series in window.into_series() {
            if let Fold::Counter(sum) = series.value {
                lines.push(format!("{stamp} {} {} {sum}\n", series.source, series.name));
            }
        }
        let body = [lines.concat(), annotations.concat()].concat();
        vec![Payload::new(body.into_bytes(), lines.len())]
    }

    fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
        let retry = |why: std::io::Error| SendError::Retry { after: None, why: why.into() };
        if self.file.is_none() {
            let opened = OpenOptions::new().append(true).create(true).open(&self.path);
            self.file = Some(opened.map_err(retry)?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(&payload.body).map_err(retry)
    }

    fn destination(&self) -> Option<String> {
        Some(self.path.display().to_string())
    }
}

impl BackendProgram for Append {
    type Flags = Flags;
    const PROGRAM: &'static str = "zibrato-append";
    const ABOUT: &'static str = "Appends the counters of each window to a file";
    const EXAMPLES: &'static str = "Example:\n  zibrato-append --file counts --flush 10";

    fn open(Flags { file }: Flags) -> Result<Self, Failure> {
        if file.is_dir() {
            let why = format!("--file: {} is a folder; give a file", file.display());
            return Err(Failure::new(Exit::Config, why));
        }
        Ok(Self { path: file, file: None })
    }

    fn check(&self, findings: &mut Findings) {
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        findings.folder("--file", folder, None);
    }
}

fn main() -> ExitCode {
    zibrato_workers::main::<Append>()
}
