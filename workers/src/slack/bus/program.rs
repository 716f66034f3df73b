//! The program of the bus: which command it is, and what `--check` and each command do.

use super::flags::{BusFlags, Task, build};
use super::{commands, config};
use clap::CommandFactory;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use zibrato::daemon::{CommonFlags, Doubts, Exit, Failure, Findings, Program, Stop};
use zibrato::wire::Endpoint;

/// The commands.
const COMMANDS: [&str; 4] = ["init", "recv", "relay", "send"];

/// Carbon-slack's program for each command is this and the command.
const PREFIX: &str = "carbon-slack-";

/// The arguments for [`main`], if they call a command of the bus: `zibrato-slack relay …`, or
/// `carbon-slack-relay …` for a program that is linked to that name. Flags of the bus may come before
/// the command.
#[must_use]
pub fn arguments(args: impl IntoIterator<Item = OsString>) -> Option<Vec<OsString>> {
    let args: Vec<_> = args.into_iter().collect();
    let (program, rest) = args.split_first()?;
    let name = Path::new(program).file_name()?.to_str()?;
    let is_command = |word: &str| COMMANDS.contains(&word);
    if let Some(command) = name.strip_prefix(PREFIX).filter(|command| is_command(command)) {
        return Some([&[program.clone(), command.into()], rest].concat());
    }
    let flags = BusFlags::command();
    let mut words = rest.iter().filter_map(|arg| arg.to_str());
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            return is_command(word).then_some(args);
        }
        if has_value_apart(&flags, word)? {
            words.next();
        }
    }
    None
}

/// Whether the next argument is the value of this one; `None` if it is no flag of the bus.
fn has_value_apart(flags: &clap::Command, word: &str) -> Option<bool> {
    let (name, attached) = word.split_once('=').map_or((word, false), |(name, _)| (name, true));
    let is_meant = |arg: &&clap::Arg| match name.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => arg.get_short().is_some_and(|short| name.starts_with(&*format!("-{short}"))),
    };
    let flag = flags.get_arguments().find(is_meant)?;
    let is_attached = attached || (!name.starts_with("--") && name.len() > 2);
    Some(flag.get_action().takes_values() && !is_attached)
}

/// Runs a command of the bus, from its arguments to its exit code.
#[must_use]
pub fn main(args: Vec<OsString>) -> ExitCode {
    zibrato::daemon::main_with::<BusFlags>(args)
}

/// The commands with their flags, for the help of the worker.
pub(crate) fn subcommands() -> Vec<clap::Command> {
    zibrato::daemon::subcommands::<BusFlags>()
}

impl Program for BusFlags {
    const DEFAULT_CONFIG: Option<&'static str> = Some(config::DEFAULT);

    fn config_to_toml(path: &Path, text: String) -> Result<String, String> {
        config::to_toml(path, text)
    }

    fn common(&self) -> &CommonFlags {
        &self.common
    }

    fn subcommand_flags(path: &str) -> Option<Vec<String>> {
        let own = |flags: &[&str]| Some(flags.iter().map(|flag| (*flag).to_owned()).collect());
        let slack = [
            "config",
            "token",
            "token-file",
            "channel",
            "api-url",
            "timeout",
            "ca-file",
            "log-level",
            "log-format",
        ];
        match path {
            "init" => own(&[]),
            "relay" => None,
            _ => own(&slack),
        }
    }

    fn subcommand_help(path: &str, command: clap::Command) -> clap::Command {
        if path != "relay" {
            return command;
        }
        command.after_help(
            "Examples:\n  zibrato-slack relay -c /etc/carbon-slack.yml\n  \
             zibrato-slack relay --channel metrics --token-file slack.token --carbon graphite:2003\n  \
             zibrato-slack relay --channel metrics --token-file slack.token --to-broker 127.0.0.1:5550",
        )
    }

    fn runs(&self) -> bool {
        matches!(self.task, Task::Relay)
    }

    fn check(&self, findings: &mut Findings) {
        findings.take(self.channel());
        findings.take(self.builder().and_then(build));
        let stop = Stop::new().map_err(|why| Failure::new(Exit::Unavailable, why.to_string()));
        findings.take(stop.and_then(|stop| self.target(&stop)));
        if let Some(broker) = self.broker() {
            if Endpoint::Publishers.ipc_endpoint(&broker.host).is_none() {
                findings.host("--to-broker", &broker.host, broker.port);
            }
        } else if let Some(address) = findings.take(self.address()) {
            findings.host("--carbon", address.host(), address.port());
        }
        if let Some(folder) = findings.take(self.folder()) {
            findings.folder("--state", &folder, None);
        }
    }

    fn run(self, doubts: Doubts) -> Result<ExitCode, Failure> {
        doubts.log();
        let done = match &self.task {
            Task::Init => zibrato::daemon::print(config::SAMPLE),
            Task::Recv { limit } => commands::recv(&self, *limit),
            Task::Relay => commands::relay(&self),
            Task::Send(what) => commands::send(&self, what),
        };
        done.map(|()| Exit::Fine.into())
    }
}

#[cfg(test)]
mod tests {
    use super::arguments;
    use std::ffi::OsString;

    #[test]
    fn the_name_of_the_program_may_be_the_command() {
        let found = |line: &str| {
            let args = arguments(line.split(' ').map(OsString::from))?;
            Some(
                args.into_iter()
                    .map(|arg| arg.into_string().unwrap())
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        };
        for (line, expected) in [
            ("zibrato-slack relay -c x", Some("zibrato-slack relay -c x")),
            ("/usr/bin/carbon-slack-relay -c x", Some("/usr/bin/carbon-slack-relay relay -c x")),
            ("carbon-slack-send a 1", Some("carbon-slack-send send a 1")),
            ("carbon-slack-init", Some("carbon-slack-init init")),
            ("carbon-slack-other", None),
            ("zibrato-slack -c x relay", Some("zibrato-slack -c x relay")),
            ("zibrato-slack -cx --check relay", Some("zibrato-slack -cx --check relay")),
            ("zibrato-slack --token=x recv", Some("zibrato-slack --token=x recv")),
            ("zibrato-slack --channel relay", None),
            ("zibrato-slack --levels relay", None),
            ("zibrato-slack --levels x relay", None),
            ("zibrato-slack --config x submit a 1", None),
            ("zibrato-slack run", None),
            ("zibrato-slack", None),
        ] {
            assert_eq!(found(line).as_deref(), expected, "{line}");
        }
    }
}
