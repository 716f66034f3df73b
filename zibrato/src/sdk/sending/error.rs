//! Why an instrument cannot be built.

use crate::curve::ReadKeyError;
use crate::measurement::TextError;
use crate::resources::ShortageError;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What is wrong with a host, and the remedy.
const NOT_A_HOST: &str = "is not a host; give a name or an address, without scheme and port, or \
                          ipc:// and the folder of a broker, such as ipc:///run/zibrato";

/// Why an instrument cannot be built.
///
/// `Debug` prints the message and its cause, because `main` prints an error that it returns with
/// `Debug`.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The control port is 0.
    #[error("control port {port} is out of range (1 to 65535; the broker's default is 5551)")]
    ControlPort {
        /// The port.
        port: u16,
    },
    /// The system has no sockets available, or the endpoint is invalid.
    #[error("ZeroMQ cannot connect to {endpoint}")]
    Endpoint {
        /// The endpoint.
        endpoint: String,
        /// The error of ZeroMQ.
        source: zmq::Error,
    },
    /// The host is neither a name nor an address.
    #[error("{host:?} {}", NOT_A_HOST)]
    Host {
        /// The host.
        host: String,
    },
    /// The interval is too short or too long.
    #[error("interval {interval:?} is out of range (10 ms to 1 h)")]
    Interval {
        /// The interval.
        interval: Duration,
    },
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] ReadKeyError),
    /// The port is 0, or there is no port after it.
    #[error("port {port} is out of range (1 to 65534; the broker's default is 5550)")]
    Port {
        /// The port.
        port: u16,
    },
    /// The system has too few file descriptors or threads, or too little memory.
    #[error(transparent)]
    Resources(#[from] ShortageError),
    /// The source or a level is invalid.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The system cannot start the sender's thread.
    #[error("the sender's thread could not be started")]
    Thread(#[source] std::io::Error),
    /// A variable of the environment has an invalid value.
    #[error("{name}={value:?} {problem}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// Its value. Everything before an `@` is replaced by `***`.
        value: String,
        /// What is wrong with it, and the remedy.
        problem: VariableProblem,
    },
}

/// What is wrong with the value of a variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VariableProblem {
    /// A port is given as an address, for example by Kubernetes.
    #[error(
        "is an address, not a port; give the number alone. Kubernetes and Docker set this variable \
         for a service called {service}: to prevent that, set `enableServiceLinks: false` in the \
         pod, or set the variable in the container"
    )]
    Address {
        /// The service for which Kubernetes sets the variable.
        service: &'static str,
    },
    /// A list has an item that is empty.
    #[error("contains an extra comma; give levels as in `info,warn`, or `*` for all")]
    Comma,
    /// It is neither a name nor an address.
    #[error("{}", NOT_A_HOST)]
    Host,
    /// It is not a number, or out of range.
    #[error("is not a port; give a number from 1 to {highest} (the broker's default is {default})")]
    Port {
        /// The port that the broker has by default.
        default: u16,
        /// The highest port that this variable may have.
        highest: u16,
    },
    /// A list of levels has an item with white space, `;` or `|` in it.
    #[error("must separate levels by commas; give levels as in `info,warn`, or `*` for all")]
    Separator,
    /// It is not a switch.
    #[error("is neither true nor false; give `true` or `1`, or `false` or `0`")]
    Switch,
    /// The source or a level is invalid.
    #[error("is invalid: {0}")]
    Text(TextError),
    /// It is not UTF-8.
    #[error("is not UTF-8; correct it, or unset it")]
    Unicode,
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        self.source().map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::Level;
    use crate::resources::{Resource, Resources};
    use std::io;

    #[test]
    fn what_main_prints_says_each_thing_once() {
        let file = ReadKeyError::File {
            file: "/etc/zibrato/broker.pub".into(),
            problem: io::ErrorKind::NotFound.into(),
        };
        let given = ReadKeyError::Given { name: "ZIBRATO_SERVER_KEY", problem: Box::new(file) };
        let shortage = ShortageError {
            resource: Resource::Descriptors,
            needed: Resources::default(),
            source: io::ErrorKind::OutOfMemory.into(),
        };
        let endpoint = "tcp://broker:5550".to_owned();
        let text = Level::new("*").unwrap_err();
        for error in [
            BuildError::Endpoint { endpoint, source: zmq::Error::EMFILE },
            BuildError::Keys(given),
            BuildError::Resources(shortage),
            BuildError::Text(text.clone()),
            BuildError::Thread(io::ErrorKind::OutOfMemory.into()),
            BuildError::Variable {
                name: "ZIBRATO_LEVELS",
                value: "*,info".to_owned(),
                problem: VariableProblem::Text(text),
            },
        ] {
            let is_in_text = |cause: &dyn Error| error.to_string().contains(&cause.to_string());
            assert!(!error.source().is_some_and(is_in_text), "{error:?}");
        }
    }
}
