//! The program of the bus: which command it is, and what `--check` and each command do.

use super::flags::{BusFlags, Task, build};
use super::{commands, config};
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
/// `carbon-slack-relay …` for a program that is linked to that name.
#[must_use]
pub fn arguments(args: impl IntoIterator<Item = OsString>) -> Option<Vec<OsString>> {
    let args: Vec<_> = args.into_iter().collect();
    let (program, rest) = args.split_first()?;
    let name = Path::new(program).file_name()?.to_str()?;
    let is_command = |word: &str| COMMANDS.contains(&word);
    if let Some(command) = name.strip_prefix(PREFIX).filter(|command| is_command(command)) {
        return Some([&[program.clone(), command.into()], rest].concat());
    }
    rest.first()?.to_str().is_some_and(is_command).then_some(args)
}

/// Runs a command of the bus, from its arguments to its exit code.
#[must_use]
pub fn main(args: Vec<OsString>) -> ExitCode {
    zibrato::daemon::main_with::<BusFlags>(args)
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
            ("zibrato-slack --levels relay", None),
            ("zibrato-slack run", None),
            ("zibrato-slack", None),
        ] {
            assert_eq!(found(line).as_deref(), expected, "{line}");
        }
    }
}
