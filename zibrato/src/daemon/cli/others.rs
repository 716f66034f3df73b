//! Commands of a program that another parser reads, with flags of their own. Here they are only listed.

use clap::{Arg, ArgMatches, Command};

/// The argument that stands for all arguments of such a command.
const ALL: &str = "arguments of another command";

/// Lists the commands in the help. One that the program itself has too, but hides, is shown with the
/// text of the other.
pub(super) fn with_names(command: Command, others: &[Command]) -> Command {
    others.iter().fold(command, |command, other| {
        let name = other.get_name().to_owned();
        let about = other.get_about().cloned().unwrap_or_default();
        if command.find_subcommand(&name).is_some() {
            return command.mut_subcommand(name, |own| own.about(about).hide(false));
        }
        let all = Arg::new(ALL).num_args(..).trailing_var_arg(true).allow_hyphen_values(true);
        let stub = Command::new(name).about(about).disable_help_flag(true);
        command.subcommand(stub.arg(all.hide(true)))
    })
}

/// Adds the commands with their flags, for the manual page and completions.
pub(super) fn with_whole(command: Command, others: Vec<Command>) -> Command {
    // The program's own commands have copies of its flags, and the others take none of them.
    let command =
        if others.is_empty() { command } else { command.mut_args(|arg| arg.global(false)) };
    others.into_iter().fold(command, |command, other| {
        let name = other.get_name().to_owned();
        match command.find_subcommand(&name) {
            Some(_) => command.mut_subcommand(name, |_| other),
            None => command.subcommand(other),
        }
    })
}

/// The command that a command line calls, if it is one that another program parses.
pub(super) fn call_of(command: &Command, matches: &ArgMatches) -> Option<String> {
    let name = matches.subcommand_name()?;
    let called = command.find_subcommand(name)?;
    let is_stub = called.get_arguments().any(|arg| arg.get_id() == ALL);
    is_stub.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{call_of, with_names, with_whole};
    use clap::{Arg, Command};

    fn program() -> Command {
        let levels = Arg::new("levels").long("levels").global(true);
        let send = Command::new("send").about("Own").hide(true);
        Command::new("x").arg(levels).subcommand(send)
    }

    fn others() -> Vec<Command> {
        let flag = || Arg::new("poll").long("poll");
        ["relay", "send"].map(|name| Command::new(name).about("Other").arg(flag())).into()
    }

    #[test]
    fn the_commands_are_listed_and_their_calls_are_noticed() {
        let mut command = with_names(program(), &others());
        let help = command.render_help().to_string();
        for name in ["relay", "send"] {
            assert!(help.contains(&format!("  {name:<6} Other\n")), "{help}");
        }
        for (line, expected) in [
            (&["x", "--levels", "a", "relay", "--poll", "-h"][..], Some("relay")),
            (&["x", "send"], None),
            (&["x", "--levels", "relay"], None),
        ] {
            let matches = command.try_get_matches_from_mut(line).unwrap();
            assert_eq!(call_of(&command, &matches).as_deref(), expected, "{line:?}");
        }
    }

    #[test]
    fn the_manual_has_their_flags_without_those_of_the_program() {
        let mut command = with_whole(program(), others());
        command.build();
        for name in ["relay", "send"] {
            let sub = command.find_subcommand(name).unwrap();
            let longs: Vec<_> = sub.get_arguments().filter_map(Arg::get_long).collect();
            assert_eq!(longs, ["poll", "help"], "{name}");
        }
    }
}
