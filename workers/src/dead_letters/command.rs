//! `deadletter list|send|drop`: commands for payloads that the backend rejected.

use super::{Letter, files, read};
use crate::backend::{Backend, Payload};
use crate::deliver::causes;
use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use zibrato::daemon::{Exit, Failure, rfc3339};

/// What to do with dead letters.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Action {
    /// List dead letters, oldest window first
    List,
    /// Send dead letters to the backend again, and delete those that it accepts
    Send(Which),
    /// Delete dead letters
    Drop(Which),
}

/// Which letters.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Which {
    /// Dead letters, by file name or path
    #[arg(value_name = "FILE", conflicts_with = "all")]
    files: Vec<PathBuf>,

    /// All dead letters in the folder
    #[arg(long)]
    all: bool,
}

impl Which {
    /// The paths of the letters. `what` is done with them.
    fn paths(&self, what: &str, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
        if self.all {
            return files(folder).map_err(|why| unreadable(folder, &why));
        }
        if self.files.is_empty() {
            let folder = folder.display();
            let why = format!(
                "no dead letter is given; give the files to {what}, or give --all for all files in {folder}"
            );
            return Err(Failure::new(Exit::Usage, why));
        }
        let place = |file: &PathBuf| {
            let is_name = file.components().count() == 1 && !file.exists();
            if is_name { folder.join(file) } else { file.clone() }
        };
        Ok(self.files.iter().map(place).collect())
    }
}

/// Examples for the help of `deadletter` and its subcommands; none for another `path`.
pub(crate) fn examples(program: &str, path: &str) -> String {
    let lines: &[&str] = match path {
        "deadletter" => &["list", "send --all", "drop --all"],
        "deadletter list" => &["list", "list --dead-letters /var/lib/zibrato/dead-letters"],
        "deadletter send" => &["send FILE", "send --all"],
        "deadletter drop" => &["drop FILE", "drop --all"],
        _ => return String::new(),
    };
    let lines: Vec<_> = lines.iter().map(|line| format!("  {program} deadletter {line}")).collect();
    format!("Examples:\n{}\n\n`deadletter list` shows the names of the files.", lines.join("\n"))
}

/// Executes the command and reports on `to`. `open` creates the backends, if they are needed, each
/// with the name of its worker.
pub(crate) fn run<B: Backend>(
    action: &Action,
    folder: &Path,
    open: impl FnOnce() -> Result<Vec<(String, B)>, Failure>,
    to: &mut impl Write,
) -> Result<(), Failure> {
    match action {
        Action::List => {
            let paths = files(folder).map_err(|why| unreadable(folder, &why))?;
            // The caller closes `to` and reports its errors, here and below.
            list(folder, &paths, to).ok();
            Ok(())
        }
        Action::Send(which) => {
            let paths = which.paths("send", folder)?;
            send(&paths, open()?, to)
        }
        Action::Drop(which) => drop_all(&which.paths("delete", folder)?, to),
    }
}

fn unreadable(folder: &Path, why: &io::Error) -> Failure {
    Failure::new(Exit::Io, format!("--dead-letters: {}: {why}", folder.display()))
}

fn list(folder: &Path, paths: &[PathBuf], to: &mut impl Write) -> io::Result<()> {
    if paths.is_empty() {
        writeln!(to, "no dead letters in {}", folder.display())?;
        if !folder.exists() {
            // The folder has never been used, or the worker has another one.
            writeln!(
                to,
                "there is no such folder yet; if the worker logged another one at its start \
                 (dead_letters=…), give that one with --dead-letters"
            )?;
        }
        return Ok(());
    }
    writeln!(
        to,
        "{:<24}  {:>8}  {:>7}  {:>9}  file, series and answer",
        "window", "length", "series", "bytes"
    )?;
    for path in paths {
        let name = name(path);
        match read(path) {
            Ok((letter, _)) => {
                let Letter { start_ms, length_ms, series, names, body, answer, .. } = letter;
                let (start, seconds) = (rfc3339(start_ms), length_ms as f64 / 1000.0);
                let bytes = body.len();
                writeln!(to, "{start}  {seconds:>6} s  {series:>7}  {bytes:>9}  {name}")?;
                if !names.is_empty() {
                    writeln!(to, "{:<24}  {names}", "")?;
                }
                writeln!(to, "{:<24}  {answer}", "")?;
            }
            Err(why) => writeln!(to, "{name}: {why}")?,
        }
    }
    writeln!(to, "{} dead letters in {}", paths.len(), folder.display())
}

fn send<B: Backend>(
    paths: &[PathBuf],
    mut backends: Vec<(String, B)>,
    to: &mut impl Write,
) -> Result<(), Failure> {
    let mut left = 0;
    for path in paths {
        let said = match give(path, &mut backends) {
            Ok(()) => "accepted".to_owned(),
            Err(why) => {
                left += 1;
                refused(path, &why.to_string())
            }
        };
        say(to, &format!("{}: {said}", name(path)));
    }
    finish(left, paths.len(), "were not accepted; their files were kept")
}

fn give<B: Backend>(path: &Path, backends: &mut [(String, B)]) -> Result<(), Box<dyn Error>> {
    let (letter, _) = read(path)?;
    let backend = match backends {
        [(_, only)] => only,
        several => {
            let found = several.iter_mut().find(|(name, _)| *name == letter.name);
            let missing = || {
                let worker = &letter.name;
                format!(
                    "it is a letter of {worker}, and none of the destinations has this worker; give \
                     the --name and the destinations with which the worker ran, or only the one that \
                     it is to be sent to"
                )
            };
            found.map(|(_, backend)| backend).ok_or_else(missing)?
        }
    };
    let payload = Payload { body: letter.body, series: letter.series, key: letter.key };
    backend.send_checked(&payload).map_err(|error| causes(&error))?;
    Ok(std::fs::remove_file(path)?)
}

fn drop_all(paths: &[PathBuf], to: &mut impl Write) -> Result<(), Failure> {
    let mut left = 0;
    for path in paths {
        // Deletes only dead letters, so that a mistyped path deletes nothing else.
        let result = read(path)
            .map_err(|why| why.to_string())
            .and_then(|_| std::fs::remove_file(path).map_err(|why| why.to_string()));
        let said = match result {
            Ok(()) => "dropped".to_owned(),
            Err(why) => {
                left += 1;
                refused(path, &why)
            }
        };
        say(to, &format!("{}: {said}", name(path)));
    }
    finish(left, paths.len(), "were not dropped")
}

/// The report on a file that was not changed.
fn refused(path: &Path, why: &str) -> String {
    match (path.exists(), path.parent().filter(|folder| !folder.as_os_str().is_empty())) {
        (true, _) => format!("kept: {why}"),
        (false, Some(folder)) => {
            format!("not in {}; `deadletter list` shows what is there", folder.display())
        }
        (false, None) => "does not exist; `deadletter list` shows what does".to_owned(),
    }
}

fn finish(left: usize, of: usize, what: &str) -> Result<(), Failure> {
    if left == 0 {
        return Ok(());
    }
    Err(Failure::new(Exit::Io, format!("{left} of {of} {what}")))
}

fn say(to: &mut impl Write, line: &str) {
    // The work continues even if the report cannot be written.
    writeln!(to, "{line}").and_then(|()| to.flush()).ok();
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::DeadLetters;
    use super::{Action, Letter, Which, files, run};
    use crate::{Backend, Payload, SendError};
    use std::path::Path;
    use zibrato::daemon::Failure;
    use zibrato::window::Window;

    /// Accepts payloads with an even number of bytes.
    struct Even;

    impl Backend for Even {
        fn payloads(&mut self, _: Window) -> Vec<Payload> {
            Vec::new()
        }

        fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
            assert!(payload.key.starts_with("w/"));
            if payload.body.len().is_multiple_of(2) {
                return Ok(());
            }
            Err(SendError::Reject { why: "odd".into() })
        }
    }

    fn fill(folder: &Path) {
        let mut letters = DeadLetters::new(folder.to_owned(), 1 << 20, "p".to_owned(), "w");
        for start_ms in [60_000_u64, 120_000, 180_000] {
            let letter = Letter {
                name: "w".to_owned(),
                key: format!("w/{start_ms}+60000/0-a"),
                start_ms,
                length_ms: 60_000,
                series: 7,
                names: "logins, visits, …".to_owned(),
                rejected_ms: 200_000,
                answer: "400: bad".to_owned(),
                body: vec![b'x'; (start_ms / 60_000) as usize],
            };
            letters.put(&letter).unwrap();
        }
    }

    fn ran(folder: &Path, action: Action) -> (Result<(), Failure>, String) {
        let mut said = Vec::new();
        let open = || Ok(vec![("w".to_owned(), Even)]);
        let result = run(&action, folder, open, &mut said);
        (result, String::from_utf8(said).unwrap())
    }

    fn which(files: &[&str]) -> Which {
        let all = files.is_empty();
        Which { files: files.iter().map(Into::into).collect(), all }
    }

    #[test]
    fn a_list_shows_each_letter_with_its_window_and_its_answer() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        std::fs::write(folder.path().join("9-other.dead"), "x").unwrap();
        let (result, said) = ran(folder.path(), Action::List);
        result.unwrap();
        for part in [
            "1970-01-01T00:01:00.000Z",
            "60 s",
            "  logins, visits, …\n",
            "400: bad",
            "is not a dead letter",
            "4 dead",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(said.find("T00:01").unwrap() < said.find("T00:02").unwrap());
    }

    #[test]
    fn accepted_letters_are_deleted_and_others_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        let (result, said) = ran(folder.path(), Action::Send(which(&[])));
        let failure = result.unwrap_err();
        assert_eq!((failure.exit as u8, said.matches("odd").count()), (74, 2), "{said}");
        assert!(failure.message.starts_with("2 of 3"), "{failure}");
        assert_eq!(files(folder.path()).unwrap().len(), 2);
    }

    #[test]
    fn a_letter_goes_to_the_destination_of_its_worker() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        let path = files(folder.path()).unwrap().remove(1);
        let action = || Action::Send(which(&[path.to_str().unwrap()]));
        for (names, is_sent) in [(["v", "x"], false), (["v", "w"], true)] {
            let open = || Ok(names.map(|name| (name.to_owned(), Even)).into());
            let mut said = Vec::new();
            let result = run(&action(), folder.path(), open, &mut said);
            let said = String::from_utf8(said).unwrap();
            assert_eq!((result.is_ok(), path.exists()), (is_sent, !is_sent), "{said}");
            assert_eq!(said.contains("it is a letter of w"), !is_sent, "{said}");
        }
    }

    #[test]
    fn letters_are_dropped_by_name_or_all_and_other_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        let one = files(folder.path()).unwrap().remove(0);
        let name = one.file_name().unwrap().to_str().unwrap();
        ran(folder.path(), Action::Drop(which(&[name]))).0.unwrap();
        assert_eq!(files(folder.path()).unwrap().len(), 2);
        let other = folder.path().join("notes.txt");
        std::fs::write(&other, "x").unwrap();
        let (result, _) = ran(folder.path(), Action::Drop(which(&[other.to_str().unwrap(), "no"])));
        assert!(result.unwrap_err().message.starts_with("2 of 2") && other.exists());
        ran(folder.path(), Action::Drop(which(&[]))).0.unwrap();
        assert!(files(folder.path()).unwrap().is_empty());
    }

    #[test]
    fn a_wrong_folder_or_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (place, shown) = (folder.path(), folder.path().display().to_string());
        let (_, said) = ran(place, Action::List);
        assert_eq!(said, format!("no dead letters in {shown}\n"));
        let (_, said) = ran(&place.join("no"), Action::List);
        assert!(said.contains("no such folder") && said.contains("--dead-letters"), "{said}");
        let none = || Which { files: Vec::new(), all: false };
        for action in [Action::Send(none()), Action::Drop(none())] {
            let failure = ran(place, action).0.unwrap_err();
            assert!(failure.message.contains("give --all") && failure.message.contains(&shown));
            assert_eq!(failure.exit as u8, 64);
        }
        for action in [Action::Send(which(&["typo.dead"])), Action::Drop(which(&["typo.dead"]))] {
            let (result, said) = ran(place, action);
            assert_eq!(result.unwrap_err().exit as u8, 74);
            assert!(said.starts_with(&format!("typo.dead: not in {shown}; ")), "{said}");
        }
    }

    #[test]
    fn an_edited_letter_is_sent_once_it_is_marked() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        let path = files(folder.path()).unwrap().remove(0);
        let odd = std::fs::read_to_string(&path).unwrap();
        let even = odd.replace("\n\nx", "\n\nmended");
        std::fs::write(&path, &even).unwrap();
        let (result, said) = ran(folder.path(), Action::Send(which(&[path.to_str().unwrap()])));
        assert!(result.is_err() && said.contains("`bytes: edited`"), "{said}");
        std::fs::write(&path, even.replace("bytes: 1\n", "bytes: edited\n")).unwrap();
        let (result, said) = ran(folder.path(), Action::Send(which(&[path.to_str().unwrap()])));
        result.unwrap();
        assert!(said.ends_with("accepted\n") && !path.exists(), "{said}");
    }
}
