//! A real CollectD sends to the broker, and its values reach Carbon as its own csv plugin wrote them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use zibrato_tests::{Broker, Carbon, DEADLINE, Running, Signal, wait_until};

const PROGRAM: &str = "/usr/sbin/collectd";

/// The values of each series, in order.
pub(crate) type Values = BTreeMap<String, Vec<f64>>;

#[test]
fn plain_values_of_a_real_collectd_are_in_carbon() {
    arrives("", "none");
}

#[test]
fn signed_values_of_a_real_collectd_are_in_carbon() {
    let sign = "SecurityLevel \"Sign\"\nUsername \"alice\"\nPassword \"12345678\"\n";
    arrives(sign, "sign");
}

#[test]
fn encrypted_values_of_a_real_collectd_are_in_carbon() {
    let encrypt = "SecurityLevel \"Encrypt\"\nUsername \"alice\"\nPassword \"12345678\"\n";
    arrives(encrypt, "encrypt");
}

#[track_caller]
fn arrives(protection: &str, level: &str) {
    // The csv plugin writes into no folder whose name begins with a dot.
    let folder = tempfile::Builder::new().prefix("collectd-").tempdir().unwrap();
    let auth = folder.path().join("auth");
    fs::write(&auth, "alice: 12345678\n").unwrap();
    let auth = auth.to_str().unwrap();
    let carbon = Carbon::start();
    let mut broker = Broker::start_with(&[
        "--collectd",
        "127.0.0.1:0",
        "--collectd-auth-file",
        auth,
        "--collectd-security-level",
        level,
    ]);
    let address = format!("127.0.0.1:{}", carbon.port());
    let _worker = broker.worker("zibrato-carbon", &["--flush", "1", "--carbon", &address]);
    let collectd = collectd(&folder, &port(&mut broker), protection);

    // Each value that it wrote arrives once.
    let written = stop_when_enough(collectd, &folder);
    let count = written.values().map(Vec::len).sum::<usize>();
    wait_until(DEADLINE, "all values to arrive", || {
        broker.metric("zibrato_broker_lines_total{intake=\"collectd\"}") >= count as f64
    });
    assert_stored(&carbon, &written, equal);
    assert_eq!(broker.metric("zibrato_broker_lines_total{intake=\"collectd\"}"), count as f64);
    let page = broker.page("/metrics");
    let rejected = page.lines().filter(|line| line.contains("rejected_total{intake=\"collectd\""));
    assert_eq!(rejected.collect::<Vec<_>>(), [""; 0]);
}

/// The port of the broker's CollectD intake.
pub(crate) fn port(broker: &mut Broker) -> String {
    let listening = broker.running().says(&["event=\"listening\""]);
    let (_, port) = listening.split_once("collectd=127.0.0.1:").unwrap();
    port.split(|c: char| !c.is_ascii_digit()).next().unwrap().to_owned()
}

/// Stops it when it has written several values of each plugin, and returns all that it wrote.
#[track_caller]
pub(crate) fn stop_when_enough(mut collectd: Running, folder: &TempDir) -> Values {
    let csv = folder.path().join("csv");
    let is_enough = |written: &Values| {
        let plugins =
            ["cpu.0.user", "memory.free", "load.load", "df.root", "interface.lo.if_octets"];
        let has = |plugin: &&str| {
            written.iter().any(|(name, values)| name.contains(*plugin) && values.len() >= 4)
        };
        plugins.iter().all(has)
    };
    wait_until(DEADLINE, "values of all plugins", || is_enough(&written(&csv)));
    assert_eq!(collectd.stop(Signal::TERM).code(), Some(0));
    written(&csv)
}

/// Waits until Carbon has what was written: for each series, at least two points, all of them values that
/// were written, in order, and the last one.
#[track_caller]
pub(crate) fn assert_stored(carbon: &Carbon, written: &Values, equal: fn(f64, f64) -> bool) {
    wait_until(DEADLINE, "the last values to be in Carbon", || {
        let stored = stored(carbon);
        stored.len() == written.len()
            && written.iter().all(|(name, values)| {
                let last = stored.get(name).and_then(|values| values.last());
                last.is_some_and(|last| equal(*last, *values.last().unwrap()))
            })
    });
    for (name, stored) in stored(carbon) {
        // Two values in one window are one point, with the later one.
        let mut values = written[&name].iter();
        for point in &stored {
            assert!(
                values.any(|value| equal(*point, *value)),
                "{name}: {stored:?} in Carbon, but it wrote {:?}",
                written[&name]
            );
        }
        assert!(stored.len() >= 2, "{name}: {stored:?}");
    }
}

/// Runs a CollectD that sends to the broker, and writes the same values to `csv` in this folder.
pub(crate) fn collectd(folder: &TempDir, port: &str, protection: &str) -> Running {
    collectd_with(folder, port, protection, "")
}

/// Such a CollectD with more lines in its configuration.
pub(crate) fn collectd_with(folder: &TempDir, port: &str, protection: &str, more: &str) -> Running {
    assert!(
        Path::new(PROGRAM).is_file(),
        "{PROGRAM} is not there; `apt-get install collectd-core` or `tests/run setup` installs it"
    );
    let here = folder.path().display();
    let configuration = folder.path().join("collectd.conf");
    let text = format!(
        "Hostname \"web-1\"\n\
         FQDNLookup false\n\
         BaseDir \"{here}\"\n\
         PIDFile \"{here}/pid\"\n\
         Interval 1\n\
         LoadPlugin csv\nLoadPlugin network\n\
         LoadPlugin cpu\nLoadPlugin df\nLoadPlugin interface\nLoadPlugin load\nLoadPlugin memory\n\
         <Plugin csv>\nDataDir \"{here}/csv\"\nStoreRates true\n</Plugin>\n\
         <Plugin df>\nMountPoint \"/\"\n</Plugin>\n\
         <Plugin interface>\nInterface \"lo\"\n</Plugin>\n\
         <Plugin network>\n<Server \"127.0.0.1\" \"{port}\">\n{protection}</Server>\n</Plugin>\n\
         {more}"
    );
    fs::write(&configuration, text).unwrap();
    Running::start(Command::new(PROGRAM).arg("-f").arg("-C").arg(configuration))
}

/// What the csv plugin has written, by the names that Carbon has. Files are called
/// `host/plugin-instance/type-instance-date`.
fn written(csv: &Path) -> Values {
    let mut written = Values::new();
    for folder in fs::read_dir(csv.join("web-1")).into_iter().flatten() {
        let folder = folder.unwrap();
        let plugin = folder.file_name().into_string().unwrap();
        for file in fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            let (type_name, _) = name.split_at(name.len() - "-2026-01-01".len());
            // A line that is being written has no end yet.
            let text = fs::read_to_string(file.path()).unwrap();
            let complete = text.rfind('\n').map_or("", |end| text.split_at(end).0);
            let mut lines = complete.lines();
            let sources: Vec<_> = lines.next().unwrap_or_default().split(',').skip(1).collect();
            let names: Vec<_> = sources.iter().map(|s| series(&plugin, type_name, s)).collect();
            for line in lines {
                for (name, value) in names.iter().zip(line.split(',').skip(1)) {
                    let value: f64 = value.parse().unwrap();
                    // The first value of a rate is not a number.
                    if value.is_finite() {
                        written.entry(name.clone()).or_default().push(value);
                    }
                }
            }
        }
    }
    written
}

fn series(plugin: &str, type_name: &str, source: &str) -> String {
    let (plugin, plugin_instance) = plugin.split_once('-').unwrap_or((plugin, ""));
    let (type_name, type_instance) = type_name.split_once('-').unwrap_or((type_name, ""));
    let parts = match plugin {
        "cpu" => vec![plugin, plugin_instance, type_instance],
        "memory" => vec![plugin, type_instance],
        "interface" => vec![plugin, plugin_instance, type_name, source],
        "load" => vec![plugin, type_name, source],
        _ => vec![plugin, plugin_instance, type_name, type_instance],
    };
    format!("web-1.{}", parts.join("."))
}

fn stored(carbon: &Carbon) -> Values {
    let values = |points: Vec<(u64, f64)>| points.into_iter().map(|(_, value)| value).collect();
    let all = carbon.fetch_all().into_iter();
    all.filter(|(name, _)| name.starts_with("web-1."))
        .map(|(n, points)| (n, values(points)))
        .collect()
}

/// The csv plugin writes six decimals.
pub(crate) fn equal(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6
}
