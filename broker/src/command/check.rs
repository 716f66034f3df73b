//! `zibrato-broker --check`: looks at everything that the flags name, and changes nothing.

use super::{Flags, Http};
use crate::bind::{NO_TCP, StartError};
use crate::broker::Broker;
use crate::ipc::Folder;
use crate::journal::is_in_use;
use std::io;
use std::net::{IpAddr, TcpListener};
use zibrato::daemon::{Findings, HttpServer};
use zibrato::wire::Door;

/// The doors, each at a port of its own.
const DOORS: [Door; 4] = [Door::Publishers, Door::Subscribers, Door::Replay, Door::Legacy];

/// Adds to `findings` what is wrong with the flags and with what they name.
pub(super) fn check(flags: &Flags, findings: &mut Findings) {
    findings.take(Broker::probe(flags.max_memory << 20));
    journal(flags, findings);
    let mut config = flags.without_keys();
    if let Some(with_keys) = findings.take(flags.with_keys(config.clone())) {
        config = with_keys;
    }
    findings.take(config.gate());
    if let Some(folder) = &flags.ipc {
        if findings.take(Folder::check(folder)).is_some() {
            findings.folder("--ipc", folder);
        }
        // What is wrong with the folder is told of; the host is looked at apart.
        config.ipc = None;
    }
    let mut taken = Vec::new();
    if (flags.ipc.is_none() || flags.host != NO_TCP)
        && let Some(Some(address)) = findings.take(config.address())
        && flags.port != 0
    {
        for door in DOORS {
            taken.extend(findings.take(probe(address, flags.port + door.offset())));
        }
    }
    if let Http::At(address) = flags.http {
        // The ports above are still taken: none serves twice.
        taken.extend(findings.take(HttpServer::probe(address)));
    }
}

fn journal(flags: &Flags, findings: &mut Findings) {
    let Some(Some(config)) = findings.take(flags.journal.config()) else { return };
    findings.folder("--journal", &config.directory);
    if is_in_use(&config.directory) {
        let folder = config.directory.display();
        findings.error(format!("--journal: {folder} is in use by another zibrato-broker"));
    }
}

/// Takes a port for a moment, as the broker would.
fn probe(address: IpAddr, port: u16) -> Result<TcpListener, StartError> {
    TcpListener::bind((address, port)).map_err(|source| {
        let same = match source.kind() {
            io::ErrorKind::AddrInUse => zmq::Error::EADDRINUSE,
            io::ErrorKind::PermissionDenied => zmq::Error::EACCES,
            _ => return StartError::NoAddress { address, source },
        };
        StartError::from_bind(same, address, port)
    })
}
