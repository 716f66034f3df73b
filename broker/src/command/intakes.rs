//! The flags of all intakes.

use crate::intake::table::INTAKES;
use crate::intake::{Intake, Row};
use clap::{ArgMatches, Command};
use std::sync::Arc;

/// The intakes that flags turn on.
#[derive(Debug, Clone, Default)]
pub(super) struct Intakes(pub(super) Vec<Arc<dyn Intake>>);

impl clap::Args for Intakes {
    fn augment_args(command: Command) -> Command {
        augment(command, INTAKES)
    }

    fn augment_args_for_update(command: Command) -> Command {
        augment(command, INTAKES)
    }
}

impl clap::FromArgMatches for Intakes {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        chosen(matches, INTAKES)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = chosen(matches, INTAKES)?;
        Ok(())
    }
}

fn augment(command: Command, rows: &[Row]) -> Command {
    // The flags after those of the intakes are under no heading of an intake.
    rows.iter().fold(command, |command, row| (row.augment)(command)).next_help_heading(None)
}

fn chosen(matches: &ArgMatches, rows: &[Row]) -> Result<Intakes, clap::Error> {
    let intakes = rows.iter().filter_map(|row| (row.intake)(matches).transpose());
    intakes.collect::<Result<_, _>>().map(Intakes)
}

#[cfg(test)]
mod tests {
    use super::{augment, chosen};
    use crate::intake::{Intake, IntakeError, IntakeFlags, OpenIntake, Row};
    use clap::Command;
    use std::sync::Arc;

    #[derive(Debug)]
    struct Echo(Vec<u16>);

    impl Intake for Echo {
        fn name(&self) -> &'static str {
            "echo"
        }

        fn open(&self) -> Result<OpenIntake, IntakeError> {
            Ok(OpenIntake::new(self.0.len(), |_| Ok(())))
        }
    }

    #[derive(Debug, clap::Args)]
    struct Flags {
        #[arg(long)]
        echo: Vec<u16>,
        #[arg(long)]
        echo_limit: Option<u16>,
    }

    impl IntakeFlags for Flags {
        fn intake(&self) -> Result<Option<Arc<dyn Intake>>, String> {
            if self.echo.is_empty() {
                return Ok(None);
            }
            if self.echo.iter().any(|port| Some(*port) > self.echo_limit) {
                return Err("--echo is above --echo-limit; raise the limit".to_owned());
            }
            Ok(Some(Arc::new(Echo(self.echo.clone()))))
        }
    }

    #[test]
    fn a_row_has_flags_that_make_an_intake() {
        const ROWS: [Row; 1] = [Row::of::<Flags>()];
        let chosen = |args: &[&str]| {
            let args = std::iter::once("x").chain(args.iter().copied());
            chosen(&augment(Command::new("x"), &ROWS).try_get_matches_from(args)?, &ROWS)
        };
        assert!(chosen(&[]).unwrap().0.is_empty());
        let intakes = chosen(&["--echo", "7", "--echo", "8", "--echo-limit", "9"]).unwrap();
        assert_eq!(format!("{intakes:?}"), "Intakes([Echo([7, 8])])");
        let error = chosen(&["--echo", "7", "--echo-limit", "6"]).unwrap_err().to_string();
        assert_eq!(error, "error: --echo is above --echo-limit; raise the limit\n");
    }
}
