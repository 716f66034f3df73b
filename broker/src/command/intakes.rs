//! The flags of intakes: `--NAME ADDRESS` for each row of their table.

use crate::intake::{INTAKES, Intake, Row};
use clap::{Arg, ArgMatches, Command};
use std::sync::Arc;

/// The intakes that flags ask for.
#[derive(Debug, Clone, Default)]
pub(super) struct IntakeFlags(pub(super) Vec<Arc<dyn Intake>>);

impl clap::Args for IntakeFlags {
    fn augment_args(command: Command) -> Command {
        augment(command, INTAKES)
    }

    fn augment_args_for_update(command: Command) -> Command {
        augment(command, INTAKES)
    }
}

impl clap::FromArgMatches for IntakeFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(chosen(matches, INTAKES))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = chosen(matches, INTAKES);
        Ok(())
    }
}

fn augment(command: Command, rows: &'static [Row]) -> Command {
    let flag = |row: &'static Row| {
        let open = move |address: &str| (row.intake)(address);
        Arg::new(row.flag).long(row.flag).value_name("ADDR").help(row.help).value_parser(open)
    };
    command.args(rows.iter().map(flag))
}

fn chosen(matches: &ArgMatches, rows: &'static [Row]) -> IntakeFlags {
    let chosen = rows.iter().filter_map(|row| matches.get_one::<Arc<dyn Intake>>(row.flag));
    IntakeFlags(chosen.cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::{augment, chosen};
    use crate::intake::{Intake, IntakeError, OpenIntake, Row};
    use clap::Command;
    use std::sync::Arc;

    #[derive(Debug)]
    struct Echo(u16);

    impl Intake for Echo {
        fn name(&self) -> &'static str {
            "echo"
        }

        fn open(&self) -> Result<OpenIntake, IntakeError> {
            Ok(OpenIntake::new(self.0, |_| Ok(())))
        }
    }

    const ROWS: [Row; 1] = [Row {
        flag: "echo",
        help: "Port that takes echoes",
        intake: |address| match address.parse() {
            Ok(port) => Ok(Arc::new(Echo(port))),
            Err(_) => Err("expected a port".to_owned()),
        },
    }];

    #[test]
    fn a_row_is_a_flag_and_its_value_an_intake() {
        let parse = |args: &[&str]| augment(Command::new("x"), &ROWS).try_get_matches_from(args);
        assert!(chosen(&parse(&["x"]).unwrap(), &ROWS).0.is_empty());
        let intakes = chosen(&parse(&["x", "--echo", "7"]).unwrap(), &ROWS).0;
        assert_eq!(format!("{intakes:?}"), "[Echo(7)]");
        let error = parse(&["x", "--echo", "here"]).unwrap_err().to_string();
        assert!(error.contains("'--echo <ADDR>': expected a port"), "{error}");
    }
}
