//! Checks for `--check` whether a broker listens at the address that the flags give.

use super::broker::Broker;
use super::resolve::{Found, NO_BROKER, about_keys, look_at};
use std::os::unix::net::UnixStream;
use std::path::Path;
use zibrato::daemon::Findings;

/// Looks for the broker. A missing broker is only a warning, because a worker may be started first.
pub(crate) fn check_broker(broker: &Broker, findings: &mut Findings) {
    let Broker { host, port, curve, endpoint } = broker;
    if let Some(endpoint) = endpoint.ipc_endpoint(host) {
        let [folder, file] = [host, &*endpoint].map(|url| url.trim_start_matches("ipc://"));
        if !Path::new(folder).is_dir() {
            let why = "is not a folder; the broker creates it with --ipc";
            findings.warning(format!("--host: {folder} {why}"));
        } else if let Err(error) = UnixStream::connect(file) {
            findings.warning(format!("--host: no broker can be reached at {file}: {error}"));
        }
        return;
    }
    let Some(addresses) = findings.host("--host", broker.bare_host(), *port) else { return };
    let there = format!("--host {host}, --port {port}");
    match look_at(*port, &addresses) {
        Found::WrongPort { what, right } => {
            findings.error(format!("--port: {what}: give --port {right} instead of {port}"));
        }
        Found::Unheard { encrypts: Some(encrypts), .. } if encrypts != curve.is_some() => {
            let why = about_keys(Some(encrypts), curve.is_some()).unwrap_or_default();
            let what = if encrypts {
                "the program that listens there encrypts its connections"
            } else {
                "a broker is there"
            };
            findings.error(format!("{there}: {what}; {why}"));
        }
        Found::Unheard { encrypts: Some(_), .. } => {}
        Found::Unheard { why: NO_BROKER, .. } => findings.error(format!("{there}: {NO_BROKER}")),
        Found::Unheard { why, .. } => findings.warning(format!("{there}: {why}")),
    }
}
