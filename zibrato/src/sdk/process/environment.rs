//! Settings from environment variables.
//!
//! A variable that is empty, or contains only white space, counts as unset. A variable is read only
//! if it decides, so one that the code of the program overrides may have any value.

use crate::curve::{Curve, ReadKeyError};
use crate::measurement::{Level, Source, TextError};
use crate::sdk::sending::error::{BuildError, VariableProblem};
use crate::wire::Endpoint;
use std::collections::BTreeSet;
use std::ffi::OsString;

pub(super) const CONTROL_PORT: &str = "ZIBRATO_CONTROL_PORT";
pub(super) const DISABLED: &str = "ZIBRATO_DISABLED";
pub(super) const HOST: &str = "ZIBRATO_HOST";
pub(super) const LEVELS: &str = "ZIBRATO_LEVELS";
pub(super) const PORT: &str = "ZIBRATO_PORT";
pub(super) const SOURCE: &str = "ZIBRATO_SOURCE";

/// The broker's default port.
pub(super) const DEFAULT_PORT: u16 = 5550;

/// Kubernetes sets these two, and `ZIBRATO_PORT`, for a service called `zibrato`.
const SERVICE_HOST: &str = "ZIBRATO_SERVICE_HOST";
const SERVICE_PORT: &str = "ZIBRATO_SERVICE_PORT";

/// The levels that a program measures; `None` means all.
pub(super) type Levels = Option<BTreeSet<Level>>;

/// Reads variables: of the process, except in tests.
pub(super) struct Environment<'a>(pub(super) &'a dyn Fn(&str) -> Option<OsString>);

impl Environment<'_> {
    pub(super) fn is_disabled(&self) -> Result<bool, BuildError> {
        let parse = |text: &str| match text.to_ascii_lowercase().as_str() {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(VariableProblem::Switch),
        };
        Ok(self.parse(DISABLED, parse)?.unwrap_or(false))
    }

    pub(super) fn host(&self) -> Result<Option<String>, BuildError> {
        let parse = |text: &str| {
            let is_host = Endpoint::Publishers.address(text, 1).is_some();
            if is_host { Ok(text.to_owned()) } else { Err(VariableProblem::Host) }
        };
        self.parse(HOST, parse)
    }

    pub(super) fn port(&self) -> Result<Option<u16>, BuildError> {
        if self.is_of_kubernetes() {
            return Ok(None);
        }
        // The next port is needed, too.
        self.parse(PORT, |text| port(text, "zibrato", DEFAULT_PORT, u16::MAX - 1))
    }

    pub(super) fn control_port(&self) -> Result<Option<u16>, BuildError> {
        let parse = |text: &str| port(text, "zibrato-control", DEFAULT_PORT + 1, u16::MAX);
        self.parse(CONTROL_PORT, parse)
    }

    pub(super) fn source(&self) -> Result<Option<Source>, BuildError> {
        self.parse(SOURCE, |text| Source::new(text).map_err(VariableProblem::Text))
    }

    pub(super) fn levels(&self) -> Result<Option<Levels>, BuildError> {
        self.parse(LEVELS, |text| match text {
            "*" => Ok(None),
            _ => text.split(',').map(level).collect::<Result<_, _>>().map(Some),
        })
    }

    pub(super) fn curve(&self) -> Result<Option<Curve>, ReadKeyError> {
        Curve::from_variables(self.0)
    }

    /// Whether the port is the address of a Kubernetes service, such as `tcp://10.0.0.1:5550`.
    /// Nobody has given it as a setting, so it counts as unset.
    fn is_of_kubernetes(&self) -> bool {
        let [given, host, port] =
            [PORT, SERVICE_HOST, SERVICE_PORT].map(|name| self.text(name).ok().flatten());
        let (Some(given), Some(host), Some(port)) = (given, host, port) else { return false };
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        given.split_once("://").is_some_and(|(_, address)| address == format!("{host}:{port}"))
    }

    fn parse<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, VariableProblem>,
    ) -> Result<Option<T>, BuildError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match parse(&text) {
            Ok(value) => Ok(Some(value)),
            Err(problem) => Err(wrong(name, &text, problem)),
        }
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, BuildError> {
        let Some(value) = (self.0)(name) else { return Ok(None) };
        let value = value
            .into_string()
            .map_err(|value| wrong(name, &value.to_string_lossy(), VariableProblem::Unicode))?;
        let text = value.trim();
        Ok(if text.is_empty() { None } else { Some(text.to_owned()) })
    }
}

fn wrong(name: &'static str, value: &str, problem: VariableProblem) -> BuildError {
    let problem = match problem {
        VariableProblem::Text(error) => {
            VariableProblem::Text(TextError { text: redacted(&error.text), ..error })
        }
        other => other,
    };
    BuildError::Variable { name, value: redacted(value), problem }
}

/// The value as an error shows it. The address of another service may contain a password.
fn redacted(value: &str) -> String {
    match value.rsplit_once('@') {
        Some((_, rest)) => format!("***@{rest}"),
        None => value.to_owned(),
    }
}

/// `service` is the one for which Kubernetes sets the variable.
fn port(
    text: &str,
    service: &'static str,
    default: u16,
    highest: u16,
) -> Result<u16, VariableProblem> {
    if text.contains("://") {
        return Err(VariableProblem::Address { service });
    }
    let port = text.parse().ok().filter(|port| (1..=highest).contains(port));
    port.ok_or(VariableProblem::Port { default, highest })
}

fn level(text: &str) -> Result<Level, VariableProblem> {
    let is_separator = |c: char| c.is_whitespace() || matches!(c, ';' | '|');
    match text.trim() {
        "" => Err(VariableProblem::Comma),
        // Nothing is recorded at the level `info warn`, so that everything would be left out.
        several if several.contains(is_separator) => Err(VariableProblem::Separator),
        level => Level::new(level).map_err(|error: TextError| VariableProblem::Text(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn with<T>(variables: &[(&str, &str)], read: impl FnOnce(Environment<'_>) -> T) -> T {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        read(Environment(&variable))
    }

    #[test]
    fn each_setting_has_a_variable() {
        let variables = [
            (HOST, " broker.internal\n"),
            (PORT, "7000"),
            (CONTROL_PORT, "65535"),
            (SOURCE, "web 1"),
            (LEVELS, "warn, info"),
            (DISABLED, "True"),
        ];
        with(&variables, |environment| {
            assert_eq!(environment.host().unwrap().unwrap(), "broker.internal");
            assert_eq!(environment.port().unwrap(), Some(7000));
            assert_eq!(environment.control_port().unwrap(), Some(65535));
            assert_eq!(environment.source().unwrap().unwrap().as_str(), "web 1");
            let levels = environment.levels().unwrap().unwrap().unwrap();
            let levels: Vec<_> = levels.iter().map(Level::as_str).collect();
            assert_eq!(levels, ["info", "warn"]);
            assert!(environment.is_disabled().unwrap());
        });
        let all = with(&[(LEVELS, "*")], |environment| environment.levels().unwrap());
        assert_eq!(all, Some(None));
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        for value in ["", " ", "\n"] {
            let names = [HOST, PORT, CONTROL_PORT, SOURCE, LEVELS, DISABLED];
            with(&names.map(|name| (name, value)), |environment| {
                assert_eq!(environment.host().unwrap(), None);
                assert_eq!(environment.port().unwrap(), None);
                assert_eq!(environment.control_port().unwrap(), None);
                assert_eq!(environment.source().unwrap(), None);
                assert_eq!(environment.levels().unwrap(), None);
                assert!(!environment.is_disabled().unwrap());
            });
        }
    }

    #[test]
    fn an_error_names_the_variable_its_value_and_the_remedy() {
        for (name, value, words) in [
            (HOST, "http://broker", "is not a host; give a name or an address"),
            (HOST, "broker:5550", "is not a host; give a name or an address"),
            (HOST, "-", "is not a host; give a name or an address"),
            (PORT, "555o", "is not a port; give a number from 1 to 65534"),
            (PORT, "0", "from 1 to 65534 (the broker's default is 5550)"),
            (PORT, "65535", "is not a port; give a number from 1 to 65534"),
            (PORT, "-1", "is not a port; give a number from 1 to 65534"),
            (PORT, "tcp://10.0.0.1:5550", "for a service called zibrato: to prevent"),
            (CONTROL_PORT, "tcp://10.0.0.1:1", "for a service called zibrato-control: to prevent"),
            (CONTROL_PORT, "65536", "is not a port; give a number from 1 to 65535"),
            (CONTROL_PORT, "x", "from 1 to 65535 (the broker's default is 5551)"),
            (SOURCE, "a|b", "is invalid: the source \"a|b\" contains `|`"),
            (LEVELS, "info,,warn", "contains an extra comma"),
            (LEVELS, "info warn", "must separate levels by commas"),
            (LEVELS, "info\twarn", "must separate levels by commas"),
            (LEVELS, "debug,info\u{3000}warn", "must separate levels by commas"),
            (LEVELS, "info;warn", "must separate levels by commas"),
            (LEVELS, "info;", "must separate levels by commas"),
            (LEVELS, "info|warn", "must separate levels by commas"),
            (LEVELS, "info,*", "is invalid: the level \"*\" is reserved"),
            (LEVELS, "zb!acks", "is invalid: the level \"zb!acks\" is reserved"),
            (DISABLED, "yes", "is neither true nor false"),
        ] {
            let error = with(&[(name, value)], |environment| {
                let [host, source] = [environment.host().err(), environment.source().err()];
                let [port, control_port] =
                    [environment.port().err(), environment.control_port().err()];
                let [levels, disabled] =
                    [environment.levels().err(), environment.is_disabled().err()];
                let all = [host, source, port, control_port, levels, disabled];
                all.into_iter().flatten().next().unwrap().to_string()
            });
            assert!(error.starts_with(&format!("{name}={value:?} ")), "{error}");
            assert!(error.contains(words), "{error}");
        }
        let not_unicode = |_: &str| Some(OsString::from_vec(vec![b'a', 0xff]));
        let error = Environment(&not_unicode).source().unwrap_err().to_string();
        assert_eq!(error, "ZIBRATO_SOURCE=\"a\u{fffd}\" is not UTF-8; correct it, or unset it");
    }

    #[test]
    fn a_password_is_not_shown() {
        let host = [(HOST, "https://ann:s3cret@broker")];
        let error = with(&host, |environment| environment.host().unwrap_err().to_string());
        assert!(error.starts_with("ZIBRATO_HOST=\"***@broker\" is not a host"), "{error}");
        let source = [(SOURCE, "ann:s3cret@web|1")];
        let error = with(&source, |environment| environment.source().unwrap_err());
        let text = "ZIBRATO_SOURCE=\"***@web|1\" is invalid: the source \"***@web|1\" contains `|`";
        assert!(error.to_string().starts_with(text), "{error}");
        let not_unicode = |_: &str| Some(OsString::from_vec(b"ann:s3cret@\xff".to_vec()));
        let error = Environment(&not_unicode).host().unwrap_err().to_string();
        assert!(error.starts_with("ZIBRATO_HOST=\"***@\u{fffd}\" is not UTF-8"), "{error}");
    }

    #[test]
    fn a_broker_in_a_folder_needs_no_ports() {
        let folder = (HOST, "ipc:///run/zibrato");
        let settings = with(&[folder, (PORT, "none"), (CONTROL_PORT, "none")], |environment| {
            crate::Zibrato::builder().settings(&environment).unwrap()
        });
        let sockets = ["publishers.sock", "subscribers.sock"];
        assert_eq!(settings.endpoints, sockets.map(|file| format!("ipc:///run/zibrato/{file}")));
        let settings = with(&[folder], |environment| {
            crate::Zibrato::builder().port(0).control_port(0).settings(&environment).unwrap()
        });
        assert!(settings.endpoints[0].starts_with("ipc://"));
    }

    #[test]
    fn the_port_that_kubernetes_sets_for_a_service_counts_as_unset() {
        for (address, host, port, is_its) in [
            ("tcp://10.0.0.1:5550", "10.0.0.1", "5550", true),
            ("udp://10.0.0.1:5550", "10.0.0.1", "5550", true),
            ("tcp://[fd00::1]:5550", "fd00::1", "5550", true),
            ("tcp://10.0.0.1:5550", "10.0.0.2", "5550", false),
            ("tcp://10.0.0.1:5550", "10.0.0.1", "5551", false),
        ] {
            let variables = [(PORT, address), (SERVICE_HOST, host), (SERVICE_PORT, port)];
            let port = with(&variables, |environment| environment.port());
            match port {
                Ok(None) => assert!(is_its, "{address}"),
                Err(BuildError::Variable { problem: VariableProblem::Address { .. }, .. }) => {
                    assert!(!is_its, "{address}");
                }
                other => panic!("{other:?}"),
            }
        }
        // A number was given by somebody.
        let variables = [(PORT, "7000"), (SERVICE_HOST, "10.0.0.1"), (SERVICE_PORT, "7000")];
        assert_eq!(with(&variables, |environment| environment.port().unwrap()), Some(7000));
    }
}
