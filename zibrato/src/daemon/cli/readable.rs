//! Files that contain secrets, and that every user of this machine can read.

use super::file::File;
use super::notes::Note;
use clap::{Arg, ArgMatches, Command};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The permission of all users to read a file.
const OTHERS_READ: u32 = 0o004;

/// The configuration file, if it gives a secret, and the files of flags such as `--token-file`, as far
/// as every user can read them. `raw` is the command without variables; flags for secrets hide their
/// values in it.
pub(super) fn readable(raw: &Command, matches: &ArgMatches, file: &File) -> Vec<Note> {
    let secrets = raw.get_arguments().filter(|arg| arg.is_hide_env_values_set());
    let named = |long: &str| -> Option<PathBuf> {
        let arg = raw.get_arguments().find(|arg| arg.get_long() == Some(long))?;
        Some(matches.get_raw(arg.get_id().as_str())?.next_back()?.into())
    };
    let note = |long: &str| -> Vec<Note> {
        let in_configuration = file.gives(long).map(Path::to_owned);
        let own = named(&format!("{long}-file"));
        let readable = in_configuration.into_iter().chain(own).filter(|file| is_readable(file));
        readable.map(|file| Note::Readable { flag: format!("--{long}"), file }).collect()
    };
    secrets.filter_map(Arg::get_long).flat_map(note).collect()
}

fn is_readable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|file| file.is_file() && file.mode() & OTHERS_READ != 0)
}
