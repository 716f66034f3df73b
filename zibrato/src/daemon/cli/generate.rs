//! `man` and `completions SHELL`: the manual page and the shell completions of a program, generated
//! from its command line.

use clap::{Arg, ArgMatches, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, italic, roman};
use std::ffi::OsString;
use std::io;

const MAN: &str = "man";
const COMPLETIONS: &str = "completions";
const SHELL: &str = "shell";

/// Adds the two subcommands to a program's command line, unless it takes positional arguments.
pub(super) fn add_commands(command: Command) -> Command {
    if command.get_positionals().next().is_some() {
        return command;
    }
    let shell = Arg::new(SHELL).value_name("SHELL").required(true);
    // A program without other subcommands needs no subcommand `help` for these two.
    let command =
        if command.has_subcommands() { command } else { command.disable_help_subcommand(true) };
    command.subcommand(Command::new(MAN).about("Print the manual page, in roff format")).subcommand(
        Command::new(COMPLETIONS)
            .about("Print the completion script for a shell")
            .arg(shell.help("Name of the shell").value_parser(clap::value_parser!(Shell))),
    )
}

/// Whether a subcommand is `man` or `completions`.
pub(super) fn is_generator(path: &str) -> bool {
    matches!(path, MAN | COMPLETIONS)
}

/// The text that a command line requests, if it has one of the two subcommands.
///
/// `bare` creates the command line without variables and without the two subcommands, and `whole` the
/// one that the text describes. The configuration file is not read, so invalid settings of this machine
/// do not change the text.
pub(super) fn text(
    bare: impl FnOnce() -> Command,
    args: &[OsString],
    whole: impl FnOnce() -> Command,
) -> Option<io::Result<Vec<u8>>> {
    if !args.iter().any(|arg| arg.to_str().is_some_and(is_generator)) {
        return None;
    }
    let bare = add_commands(bare()).subcommand_negates_reqs(true);
    let matches = bare.try_get_matches_from(args).ok()?;
    let (name, of_it) = matches.subcommand()?;
    match name {
        MAN => Some(manual(whole())),
        COMPLETIONS => completions(of_it, whole()).map(Ok),
        _ => None,
    }
}

fn completions(matches: &ArgMatches, mut command: Command) -> Option<Vec<u8>> {
    let shell = *matches.get_one::<Shell>(SHELL)?;
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    Some(script)
}

/// One page for the program and all its subcommands.
fn manual(mut command: Command) -> io::Result<Vec<u8>> {
    command.build();
    let whole = Man::new(command.clone());
    let mut page = Vec::new();
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    whole.render_synopsis_section(&mut page)?;
    whole.render_description_section(&mut page)?;
    whole.render_options_section(&mut page)?;
    let mut commands = Roff::default();
    commands.control("SH", ["COMMANDS"]);
    commands.to_writer(&mut page)?;
    subcommands(&command, &command, &mut page)?;
    notes(&command, &mut page)?;
    whole.render_version_section(&mut page)?;
    Ok(page)
}

/// Writes a subsection for each subcommand below `of` that can be run.
fn subcommands(of: &Command, program: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let is_listed = |command: &&Command| command.get_name() != "help" && !command.is_hide_set();
    for command in of.get_subcommands().filter(is_listed) {
        if command.has_subcommands() {
            subcommands(command, program, page)?;
            continue;
        }
        let mut heading = Roff::default();
        let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
        let positional = command.get_positionals().flat_map(|arg| arg.get_value_names());
        let positional: Vec<_> = positional.flatten().map(|name| name.to_string()).collect();
        heading.control("SS", [&*[&[name.to_owned()][..], &positional[..]].concat().join(" ")]);
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        heading.text([roman(about)]);
        heading.to_writer(page)?;
        // The program's own flags are listed above, unless they mean something else here.
        let help = |arg: &Arg| arg.get_help().map(ToString::to_string);
        let is_same =
            |arg: &Arg, other: &Arg| other.get_id() == arg.get_id() && help(other) == help(arg);
        let is_own = |arg: &Arg| !program.get_arguments().any(|other| is_same(arg, other));
        let own = command.clone().mut_args(|arg| {
            let hide = arg.is_hide_set() || !is_own(&arg);
            // A heading would begin a section of the page.
            arg.hide(hide).help_heading(None::<&'static str>)
        });
        if own.get_arguments().any(|arg| !arg.is_hide_set()) {
            let mut options = Vec::new();
            Man::new(own).render_options_section(&mut options)?;
            page.extend(without_heading(&options));
        }
    }
    Ok(())
}

/// A section without its first line, which is `.SH OPTIONS`.
fn without_heading(section: &[u8]) -> &[u8] {
    let end = section.windows(4).position(|bytes| bytes == b".SH ").unwrap_or(0);
    let rest = section.get(end..).unwrap_or_default();
    let line = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
    rest.get(line..).unwrap_or_default()
}

/// Writes the text that follows the flags in `--help`. Line breaks in examples are kept.
fn notes(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let Some(text) = command.get_after_help() else { return Ok(()) };
    let mut roff = Roff::default();
    roff.control("SH", ["NOTES"]);
    for line in text.to_string().lines() {
        match line.strip_prefix("  ") {
            Some(example) => {
                roff.control("br", []).text([roman(format!("  {example}"))]);
            }
            None if line.ends_with(':') => {
                roff.control("PP", []).text([italic(line)]);
            }
            None if line.is_empty() => {
                roff.control("PP", []);
            }
            None => {
                roff.text([roman(line)]);
            }
        }
    }
    roff.to_writer(page)
}

#[cfg(test)]
mod tests {
    use super::{add_commands, text};
    use clap::{Arg, ArgAction, Command};
    use std::ffi::OsString;

    fn asked(command: Command, args: &[&str]) -> Option<String> {
        let args: Vec<_> = ["x"].iter().chain(args).map(OsString::from).collect();
        let whole = add_commands(command.clone());
        let text = text(|| command, &args, || whole)?;
        Some(String::from_utf8(text.unwrap()).unwrap())
    }

    fn command() -> Command {
        let required = Arg::new("token").long("token").required(true).help("Token.\nOf the API");
        Command::new("x").version("1").arg(required).after_help("Examples:\n  x --token 'a b'\n  x")
    }

    #[test]
    fn each_is_printed_without_the_flags_that_the_program_requires() {
        let page = asked(command(), &["man"]).unwrap();
        for part in ["\\-\\-token", "completions SHELL", ".br\n  x \\-\\-token", "v1"] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        let script = asked(command(), &["completions", "bash"]).unwrap();
        assert!(script.contains("--token"), "{script}");
    }

    #[test]
    fn other_command_lines_are_left_to_the_parser() {
        for args in [
            &[][..],
            &["--token", "man"],
            &["completions"],
            &["completions", "no-shell"],
            &["man", "--no-flag"],
            &["man", "--help"],
        ] {
            assert_eq!(asked(command(), args), None, "{args:?}");
        }
    }

    #[test]
    fn a_program_that_takes_files_keeps_their_names() {
        let command = Command::new("x").arg(Arg::new("files").action(ArgAction::Append));
        assert_eq!(asked(command.clone(), &["man"]), None);
        assert!(!add_commands(command).has_subcommands());
    }
}
