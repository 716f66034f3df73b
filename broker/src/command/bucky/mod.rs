//! `zibrato-broker bucky-config`: translates a configuration of bucky.

mod carbon;
mod file;
mod given;
mod keys;
mod literal;
mod setting;
mod translate;

use given::Note;
use keys::{ProgramName, beside};
use setting::Setting;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use translate::{Accept, Translation, translate};
use zibrato::daemon::{Exit, Failure, print, warn};

/// Maximum size of a configuration.
const MAX_BYTES: u64 = 1 << 20;

const EXAMPLES: &str = "\
Examples:
  zibrato-broker bucky-config bucky.conf > broker.toml
  zibrato-broker bucky-config bucky.conf --for carbon-statsd > carbon-statsd.toml
  zibrato-broker bucky-config bucky.conf --for carbon-hosts > carbon-hosts.toml";

/// Translate a configuration of bucky to one of this program, on standard output
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct BuckyCommand {
    /// Configuration file of bucky. It is read, not executed: assignments of literals are translated, and everything else is named in a comment
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Program whose configuration is printed. One zibrato-carbon delivers measurements received by StatsD, and another one those received by CollectD and MetricsD
    #[arg(long = "for", value_name = "PROGRAM", default_value = "broker", value_enum)]
    program: ProgramName,
}

/// Prints the translation of a file.
pub(super) fn run(command: &BuckyCommand, accept: Accept<'_>) -> Result<(), Failure> {
    let text = read(&command.file)?;
    let translation = translate(&text, accept);
    let (file, program) = (command.file.display().to_string(), command.program);
    if let Some(error) = &translation.unread {
        let message =
            format!("{file}: {error}; mend it, because without the rest the translation is wrong");
        return Err(Failure::new(Exit::Config, message));
    }
    if translation.is_of_another_program {
        let message = format!("{file}: no key of bucky is assigned; give the file of bucky");
        return Err(Failure::new(Exit::Config, message));
    }
    print(&match program {
        ProgramName::Broker => broker(&file, &translation),
        ProgramName::CarbonStatsd | ProgramName::CarbonHosts => {
            carbon(&file, program, &translation)
        }
    })?;
    let lost = translation.notes.iter().filter(|note| note.is_loss && program.is_about(&note.key));
    match lost.count() {
        0 => {}
        1 => warn("zibrato-broker", &format!("1 thing in {file} is not translated; {SEE}")),
        n => warn("zibrato-broker", &format!("{n} things in {file} are not translated; {SEE}")),
    }
    Ok(())
}

/// What names the things that are not translated.
const SEE: &str = "comments in the output name what, and the line";

fn read(path: &Path) -> Result<String, Failure> {
    let wrong = |why: String| Failure::new(Exit::Config, format!("{}: {why}", path.display()));
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| wrong(format!("{error}; give the configuration file of bucky")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong(format!("it is larger than {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))
}

/// The file for `zibrato-broker`.
fn broker(file: &str, translation: &Translation) -> String {
    let mut text = comment(&format!("For `zibrato-broker --config`, translated from {file}."));
    settings(&mut text, &translation.broker, ProgramName::Broker, &translation.notes);
    text.push('\n');
    for (settings, name) in
        [(&translation.statsd, "carbon-statsd"), (&translation.hosts, "carbon-hosts")]
    {
        if !settings.is_empty() {
            let next = format!("The file of a zibrato-carbon: bucky-config {file} --for {name}");
            text.push_str(&comment(&next));
        }
    }
    text
}

/// The file for a `zibrato-carbon`.
fn carbon(file: &str, program: ProgramName, translation: &Translation) -> String {
    let all = match program {
        ProgramName::CarbonHosts => &translation.hosts,
        ProgramName::Broker | ProgramName::CarbonStatsd => &translation.statsd,
    };
    if all.is_empty() {
        return comment(&format!("Not needed, because {file} disables what it would deliver."));
    }
    let mut text = comment(&format!("For `zibrato-carbon --config`, translated from {file}."));
    settings(&mut text, all, program, &translation.notes);
    text
}

/// The lines of a file, each after the comments about it, and then the other comments.
fn settings(text: &mut String, settings: &[Setting], program: ProgramName, notes: &[Note]) {
    let mut rest: Vec<_> = notes.iter().filter(|note| program.is_about(&note.key)).collect();
    if program == ProgramName::Broker {
        rest.retain(|note| note.is_loss);
    }
    for setting in settings {
        rest.retain(|note| {
            let is_about = beside(&note.key) == setting.from;
            if is_about {
                text.push_str(&remark(note));
            }
            !is_about
        });
        line(text, &setting.to_string());
    }
    if !rest.is_empty() {
        text.push('\n');
        text.push_str(&comment("Not translated:"));
    }
    for note in rest {
        text.push_str(&remark(note));
    }
}

fn remark(note: &Note) -> String {
    // A default has no line.
    let place = if note.line == 0 { String::new() } else { format!("line {}: ", note.line) };
    comment(&(place + &note.text))
}

fn line(text: &mut String, line: &str) {
    // Writing to a string does not fail.
    writeln!(text, "{line}").ok();
}

/// A comment, which is one line.
fn comment(text: &str) -> String {
    let one_line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("# {one_line}\n")
}

#[cfg(test)]
mod tests;
