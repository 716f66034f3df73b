//! Whether a broker's host can be one here, for `--check`.

use std::path::Path;
use zibrato::daemon::Findings;

/// Looks up the host of a broker. A folder may come with the broker, so one that is not there is
/// only told of.
pub(crate) fn check_host(host: &str, port: u16, findings: &mut Findings) {
    match host.strip_prefix("ipc://") {
        Some(folder) if !Path::new(folder).is_dir() => {
            let why = "is no folder now; the broker makes it with --ipc";
            findings.warning(format!("--host: {folder} {why}"));
        }
        Some(_) => {}
        None => findings.host("--host", host.trim_matches(['[', ']']), port),
    }
}
