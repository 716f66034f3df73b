//! `zibrato-broker --check`: checks everything that the flags name, and changes nothing.

use super::flags::{Flags, Http, failure};
use crate::bind::NO_TCP;
use crate::broker::Broker;
use crate::intake::{FlagErrors, Intake, OpenIntake};
use crate::ipc::Folder;
use crate::journal::is_in_use;
use crate::start_error::StartError;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::path::Path;
use zibrato::daemon::{Exit, Failure, Findings, HttpServer};
use zibrato::wire::Endpoint;

/// Adds all errors in the flags, and in what they name, to `findings`. The order is that of a
/// start, which would end at the first error.
pub(super) fn check(flags: &Flags, findings: &mut Findings) {
    let journal = findings.take(flags.journal.config()).flatten();
    let journal = journal.map(|journal| journal.directory);
    let is_usable =
        journal.as_ref().is_some_and(|folder| findings.take(flags.journal.probe(folder)).is_some());
    let mut config = flags.without_keys();
    if let Some(with_keys) = findings.take(flags.with_keys(config.clone())) {
        config = with_keys;
    }
    let with_rules = findings.take(flags.with_rules(config.clone()));
    if let Some(store) = with_rules.and_then(|config| config.rules) {
        store.rules().warnings().iter().for_each(|why| findings.warning(format!("--rules: {why}")));
        if config.intakes.is_empty() {
            findings.warning("--rules has no effect: no intake is on, such as --statsd");
        }
    }
    findings.take(Broker::probe(flags.max_memory << 20).map_err(failure));
    if let Some(folder) = journal.filter(|_| is_usable) {
        look_into(&folder, findings);
    }
    findings.take(config.key_store().map_err(failure));
    if let Some(folder) = &flags.ipc {
        let checked = Folder::check(folder).map_err(|error| failure(error.into()));
        if findings.take(checked).is_some() {
            findings.folder("--ipc", folder, Some(Exit::Config));
        }
        // Errors of the folder have been added; the host is checked separately.
        config.ipc = None;
    }
    for exposed in config.exposed_intakes() {
        findings.take(Err::<(), _>(failure(exposed)));
    }
    // They stay bound, so that an address that is given twice is an error.
    let _intakes: Vec<_> =
        config.intakes.iter().filter_map(|intake| open(&**intake, findings)).collect();
    config
        .intakes
        .iter()
        .flat_map(|intake| intake.warnings())
        .for_each(|why| findings.warning(why));
    let needs: u64 = config.intakes.iter().map(|intake| intake.max_bytes()).sum();
    if needs > machine_bytes() {
        findings.warning(format!(
            "as many series as --statsd-max-series and --statsd-threads permit take about {} MiB, and \
             this machine has {} MiB; lower one of them",
            needs >> 20,
            machine_bytes() >> 20
        ));
    }
    let mut taken = Vec::new();
    if (flags.ipc.is_none() || flags.host != NO_TCP)
        && let Some(Some(address)) = findings.take(config.address().map_err(failure))
    {
        // With port 0 the broker looks for free ports, once it has the address.
        let ports = match flags.port {
            0 => vec![0],
            base => Endpoint::ALL.iter().map(|endpoint| base + endpoint.offset()).collect(),
        };
        for port in ports {
            taken.extend(findings.take(probe(address, flags.port, port).map_err(failure)));
        }
    }
    if let Http::At(address) = flags.http {
        // The ports above are still bound, so a port that is given twice is an error.
        let bound = HttpServer::probe(address).map_err(|error| failure(StartError::Http(error)));
        taken.extend(findings.take(bound));
    }
}

/// Opens an intake, or adds all errors in its flags.
fn open(intake: &dyn Intake, findings: &mut Findings) -> Option<OpenIntake> {
    let mut add = |problem| {
        let name = intake.name().to_owned();
        findings.take(Err::<(), _>(failure(StartError::Intake { name, problem })));
    };
    match intake.open() {
        Ok(open) => return Some(open),
        Err(problem) => match problem.downcast::<FlagErrors>() {
            Ok(errors) => errors.split().for_each(|error| add(error.into())),
            Err(problem) => add(problem),
        },
    }
    None
}

/// The memory of the machine.
fn machine_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(info.mem_unit.into())
}

/// Checks that the journal's folder can be written, and that no other broker uses it.
fn look_into(folder: &Path, findings: &mut Findings) {
    findings.folder("--journal", folder, Some(Exit::Unavailable));
    if is_in_use(folder) {
        let why = format!("--journal: {} is in use by another zibrato-broker", folder.display());
        findings.take(Err::<(), _>(Failure::new(Exit::Unavailable, why)));
    }
}

/// Binds a port for a moment, as the broker would.
fn probe(address: IpAddr, base: u16, port: u16) -> Result<TcpListener, StartError> {
    TcpListener::bind((address, port)).map_err(|source| {
        let same = match source.kind() {
            io::ErrorKind::AddrInUse => zmq::Error::EADDRINUSE,
            io::ErrorKind::PermissionDenied => zmq::Error::EACCES,
            _ => return StartError::NoAddress { address, source },
        };
        StartError::from_bind(same, address, base, port)
    })
}
