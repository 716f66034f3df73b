//! `--check` opens what it can, reports everything at once, and changes nothing; and the warnings
//! of a start.

use crate::daemons::Daemons;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use zibrato_tests::{Broker, Ports, Running, Signal, program};

/// Every daemon, with flags that let it start in its own folder.
fn daemons() -> Daemons {
    Daemons::with(
        &["--journal", "journal", "--http", "off", "--port", "0"],
        &["--dead-letters", "letters"],
    )
    .and_tail(&[])
}

/// Errors of `--check`: the program, its flags, the exit code, and parts of the lines.
const WRONG: [(&str, &[&str], i32, &[&str]); 15] = [
    ("zibrato-broker", &["--host", "nowhere.invalid"], 78, &["nowhere.invalid", "--host"]),
    ("zibrato-broker", &["--journal", "/dev/null/x"], 69, &["--journal: /dev/null/x"]),
    ("zibrato-broker", &["--http", "192.0.2.1:80", "--insecure"], 69, &["--http: 192.0.2.1:80"]),
    (
        "zibrato-broker",
        &[
            "--collectd",
            "239.192.74.66:0",
            "--statsd",
            "127.0.0.1:0",
            "--statsd-admin",
            "0.0.0.0:0",
        ],
        78,
        &["--collectd 239.192.74.66:0 can be", "sign", "--statsd-admin 0.0.0.0:0", "--insecure"],
    ),
    ("zibrato-broker", &["--ipc", "relative"], 78, &["--ipc relative", "absolute path"]),
    ("zibrato-broker", &["--ipc", "/dev/null/x"], 78, &["--ipc: /dev/null/x"]),
    (
        "zibrato-broker",
        &["--curve-key", "no.key", "--allowed-keys", "no"],
        78,
        &["--curve-key no.key", "No such file"],
    ),
    ("zibrato-carbon", &["--host", "nowhere.invalid"], 78, &["--host: the host nowhere.invalid"]),
    (
        "zibrato-carbon",
        &["--carbon", "nowhere.invalid:1"],
        78,
        &["--carbon: the host nowhere.invalid"],
    ),
    ("zibrato-carbon", &["--dead-letters", "/dev/null/x"], 78, &["--dead-letters: /dev/null/x"]),
    ("zibrato-carbon", &["--http", "192.0.2.1:80"], 69, &["--http: 192.0.2.1:80"]),
    (
        "zibrato-carbon",
        &["--server-key", "no.pub", "--curve-key", "no.key"],
        78,
        &["--server-key no.pub", "No such file"],
    ),
    ("zibrato-librato", &["--apitoken-file", "no"], 78, &["--apitoken-file no", "No such file"]),
    (
        "zibrato-slack",
        &["--webhook-url", "https://nowhere.invalid/T0/hunter2"],
        78,
        &["--webhook-url: the host nowhere.invalid"],
    ),
    ("zibrato-tail", &["--host", "nowhere.invalid"], 78, &["--host: the host nowhere.invalid"]),
];

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn check(name: &str, flags: &[&str], more: &[&str], variables: &[(&str, &str)]) -> Checked {
    let folder = TempDir::new().unwrap();
    let before = names(folder.path());
    let mut command = Command::new(program(name));
    command.args(flags).args(more).arg("--check").envs(variables.iter().copied());
    let (status, output, log) = Running::run(command.current_dir(folder.path()));
    assert_eq!(names(folder.path()), before, "{name} --check has left files behind");
    Checked { code: status.code(), output, log }
}

#[derive(Debug)]
struct Checked {
    code: Option<i32>,
    output: String,
    log: String,
}

#[test]
fn a_valid_configuration_is_fine_and_nothing_is_created() {
    let broker = Broker::start();
    let daemons = daemons();
    for (name, _) in daemons.iter() {
        let more = at(name, broker.publishing_port());
        let more: Vec<_> = more.iter().map(|arg| &**arg).collect();
        let Checked { code, output, log } = check(name, &daemons.flags(name), &more, &[]);
        assert_eq!(
            (code, &*output, &*log),
            (Some(0), "The configuration is valid\n", ""),
            "{name}"
        );
    }
}

/// The flags that send a worker to a port.
fn at(name: &str, port: u16) -> Vec<String> {
    if name == "zibrato-broker" {
        return Vec::new();
    }
    vec!["--port".to_owned(), port.to_string()]
}

#[test]
fn a_worker_reports_whether_its_broker_is_running() {
    let (broker, ports, folder) = (Broker::start(), Ports::take(), TempDir::new().unwrap());
    let keygen = Running::run(
        Command::new(program("zibrato-broker")).arg("keygen").current_dir(folder.path()),
    );
    assert_eq!(keygen.0.code(), Some(0));
    let keys = ["broker.key", "broker.pub"].map(|name| folder.path().join(name));
    let [secret, public] = keys.map(|path| path.display().to_string());
    let keys = ["--server-key", &*public, "--curve-key", &*secret];
    let encrypts = ["--curve-key", &*secret, "--allowed-keys", &*public];
    let encrypts = Broker::start_with(&encrypts);
    let ipc = format!("ipc://{}", folder.path().display());
    let right = broker.publishing_port();
    let daemons = daemons();
    for name in ["zibrato-carbon", "zibrato-tail"] {
        let flags = daemons.flags(name);
        for (port, more, code, parts) in [
            (right, &[][..], 0, &["The configuration is valid\n"][..]),
            (right, &keys, 78, &["--host 127.0.0.1, ", "leave out --server-key"]),
            (right + 1, &[], 78, &["--port: the broker serves the journal", "give --port"]),
            (broker.http_port(), &[], 78, &["is not a broker"]),
            (encrypts.publishing_port(), &keys, 0, &["The configuration is valid\n"]),
            (encrypts.publishing_port(), &[], 78, &["encrypts", "--server-key"]),
            (ports.at(9), &[], 0, &["warning: --host 127.0.0.1, --port", "nothing listens there"]),
            (1, &["--host", &ipc], 0, &["warning: --host: no broker can be reached at "]),
        ] {
            let port = port.to_string();
            let flags = [&flags[..], &["--port", &port], more].concat();
            let checked = check(name, &flags, &[], &[]);
            assert_eq!(checked.code, Some(code), "{name} {more:?}: {checked:?}");
            let all = checked.output + &checked.log;
            assert!(parts.iter().all(|part| all.contains(part)), "{name} {more:?}: {all}");
        }
    }
}

#[test]
fn too_few_descriptors_are_reported() {
    for (name, flags) in daemons().iter() {
        let folder = TempDir::new().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "ulimit -n 12; exec \"$0\" \"$@\""]).arg(program(name));
        let command = command.args(flags).arg("--check").current_dir(folder.path());
        let (status, _, log) = Running::run(command);
        assert!(log.contains("too few file descriptors: "), "{name}: {log}");
        assert_eq!(status.code(), Some(69), "{name}: {log}");
    }
}

#[test]
fn problems_are_reported_with_the_flag() {
    let daemons = daemons();
    for (name, more, expected, parts) in WRONG {
        let flags = match name {
            "zibrato-slack" => vec!["--dead-letters", "letters"],
            _ => daemons.flags(name),
        };
        let Checked { code, output, log } = check(name, &flags, more, &[]);
        assert_eq!((code, &*output), (Some(expected), ""), "{name} {more:?}: {log}");
        assert!(parts.iter().all(|part| log.contains(part)), "{name} {more:?}: {log}");
        assert!(!log.contains("hunter2"), "{log}");
    }
}

#[test]
fn a_full_disk_and_a_dangling_link_are_reported() {
    for (name, flags) in daemons().iter().filter(|(name, _)| *name != "zibrato-tail") {
        let folder = TempDir::new().unwrap();
        // A worker starts nevertheless, and holds payloads that its backend rejects.
        let expected = if *name == "zibrato-broker" { 69 } else { 78 };
        let kept = flags.iter().find(|flag| ["journal", "letters"].contains(&&***flag)).unwrap();
        // Files can be created but not written, as on a full disk. This also applies to the log.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""]);
        command.arg(program(name)).args(flags).arg("--check").current_dir(folder.path());
        let (status, _, log) = Running::run(&mut command);
        assert_eq!(status.code(), Some(expected), "{name}: {log}");

        std::os::unix::fs::symlink("missing", folder.path().join(kept)).unwrap();
        let mut command = Command::new(program(name));
        command.args(flags).arg("--check").current_dir(folder.path());
        let (status, _, log) = Running::run(&mut command);
        assert_eq!(status.code(), Some(expected), "{name}: {log}");
        assert!(log.contains("symbolic link"), "{name}: {log}");
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let more = [
        "--host",
        "nowhere.invalid",
        "--carbon",
        "nowhere.invalid:1",
        "--dead-letters",
        "/dev/null/x",
        "--flush",
        "0.5",
        "--log-level",
        "inof",
    ];
    let Checked { code, log, .. } = check("zibrato-carbon", &[], &more, &[]);
    assert_eq!((code, log.lines().count()), (Some(78), 5), "{log}");
    for flag in ["--host", "--carbon", "--dead-letters", "--flush", "--log-level"] {
        assert!(log.lines().any(|line| line.starts_with(&format!("zibrato-carbon: {flag}"))));
    }
}

#[test]
fn ports_and_a_journal_in_use_are_reported() {
    let broker = Broker::start();
    let base = broker.port().to_string();
    let http = format!("127.0.0.1:{}", broker.http_port());
    let flags = ["--port", &base, "--http", &http, "--journal", "journal"];
    let Checked { code, log, .. } = check("zibrato-broker", &flags, &[], &[]);
    // The four endpoints and the HTTP pages.
    assert_eq!((code, log.lines().count()), (Some(69), 5), "{log}");
    let ports = Ports::take();
    let taken = TcpListener::bind(("127.0.0.1", ports.at(0))).unwrap();
    let flags = ["--dead-letters", "letters", "--http", &taken.local_addr().unwrap().to_string()];
    let Checked { code, log, .. } = check("zibrato-carbon", &flags, &[], &[]);
    assert_eq!(code, Some(69));
    assert!(log.contains("another program already listens there"), "{log}");

    let journal = TempDir::new().unwrap();
    let journal = journal.path().join("journal").display().to_string();
    let _broker = Broker::start_with(&["--journal", &journal]);
    let flags = ["--port", "0", "--http", "off", "--journal", &journal];
    let Checked { code, log, .. } = check("zibrato-broker", &flags, &[], &[]);
    assert_eq!((code, log.lines().count()), (Some(69), 1), "{log}");
    assert!(log.contains("in use by another zibrato-broker"), "{log}");
}

#[test]
fn probable_mistakes_are_reported_by_a_check_and_by_a_start() {
    let broker = Broker::start();
    let daemons = daemons();
    for (name, _) in daemons.iter() {
        let flags = daemons.flags(name);
        let prefix = name.to_uppercase().replace('-', "_");
        let levels = if *name == "zibrato-broker" { "KEEP_LEVELS" } else { "LEVELS" };
        let (typo, right) = (format!("{prefix}_LOG_LEVLE"), format!("{prefix}_LOG_LEVEL"));
        let levels = format!("{prefix}_{levels}");
        let variables = [(&*typo, "debug"), (&*levels, "INFO,info;warn")];
        let more = at(name, broker.publishing_port());
        let more: Vec<_> = more.iter().map(|arg| &**arg).collect();
        let Checked { code, output, log } = check(name, &flags, &more, &variables);
        assert_eq!(
            (code, &*output),
            (Some(0), "The configuration is valid, with 3 warnings\n"),
            "{name}: {log}"
        );
        for part in [&*typo, &right, "`info` only in case", "`;`"] {
            assert!(log.contains(part), "{name}: {part}: {log}");
        }

        let (folder, ports) = (TempDir::new().unwrap(), Ports::take());
        let mut command = Command::new(program(name));
        command.args(flags).envs(variables).current_dir(folder.path());
        let mut daemon = Running::start(command.arg("--port").arg(ports.at(0).to_string()));
        daemon.says(&["event=\"unknown_variable\"", &typo, &right]);
        daemon.says(&["event=\"doubtful_level\"", "INFO"]);
        daemon.says(&["event=\"doubtful_level\"", "info;warn"]);
        if *name == "zibrato-broker" {
            daemon.says(&["event=\"listening\""]);
        } else if *name != "zibrato-tail" {
            daemon.says(&["event=\"started\"", " to="]);
        }
        if *name != "zibrato-tail" {
            assert_eq!(daemon.stop(Signal::TERM).code(), Some(0), "{name}");
        }
    }
}

#[test]
fn a_secret_on_the_command_line_is_reported_once_and_not_shown() {
    let webhook = "http://127.0.0.1:1/hunter2";
    for (name, flags, instead) in [
        ("zibrato-librato", &["--username", "a", "--apitoken", "hunter2"], "--apitoken-file"),
        ("zibrato-slack", &["--channel", "#a", "--token", "hunter2"], "--token-file"),
        ("zibrato-slack", &["--pace", "1", "--webhook-url", webhook], "--webhook-url-file"),
    ] {
        let folder = TempDir::new().unwrap();
        let mut command = Command::new(program(name));
        command.args(flags).args(["--dead-letters", "letters"]).current_dir(folder.path());
        let mut daemon = Running::start(&mut command);
        daemon.says(&["event=\"secret_on_command_line\"", flags[2], instead]);
        daemon.says(&["event=\"started\""]);
        assert_eq!(daemon.stop(Signal::TERM).code(), Some(0));
        let log = daemon.log();
        assert_eq!(log.matches("secret_on_command_line").count(), 1, "{log}");
        assert!(!log.contains("hunter2"), "{log}");
    }
}

#[test]
fn an_error_names_the_variable_or_the_file_with_the_value() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("x.toml");
    for (name, variable, value, part) in [
        ("zibrato-broker", "ZIBRATO_BROKER_PORT", "x", "ZIBRATO_BROKER_PORT: invalid value 'x'"),
        ("zibrato-broker", "ZIBRATO_BROKER_LOG_LEVEL", "x", "set by ZIBRATO_BROKER_LOG_LEVEL"),
        ("zibrato-broker", "ZIBRATO_BROKER_HOST", "no.invalid", "set by ZIBRATO_BROKER_HOST"),
        ("zibrato-broker", "ZIBRATO_BROKER_CURVE_KEY", "x", "set by ZIBRATO_BROKER_CURVE_KEY"),
        ("zibrato-carbon", "ZIBRATO_CARBON_FLUSH", "0.5", "set by ZIBRATO_CARBON_FLUSH"),
        ("zibrato-carbon", "ZIBRATO_CARBON_FLUSH", "", "ZIBRATO_CARBON_FLUSH: "),
        ("zibrato-carbon", "ZIBRATO_CARBON_LIVE", "yes", "ZIBRATO_CARBON_LIVE: invalid value"),
        ("zibrato-tail", "ZIBRATO_TAIL_LEVELS", "a|b", "ZIBRATO_TAIL_LEVELS: invalid value"),
    ] {
        let flag = variable.splitn(3, '_').nth(2).unwrap().to_lowercase().replace('_', "-");
        let mut command = Command::new(program(name));
        command.env("XDG_STATE_HOME", folder.path());
        let (status, _, log) = Running::run(command.env(variable, value));
        assert_eq!((status.code(), log.lines().count()), (Some(78), 1), "{variable}: {log}");
        assert!(log.contains(part), "{variable}: {log}");

        std::fs::write(&file, format!("{flag} = '{value}'")).unwrap();
        let mut command = Command::new(program(name));
        let (status, _, log) = Running::run(command.arg("--config").arg(&file));
        assert_eq!(log.lines().count(), 1, "{flag}: {log}");
        // The value of a switch in a file is not a string.
        assert_eq!(status.code(), Some(78), "{flag}: {log}");
        assert!(log.contains(file.to_str().unwrap()) && log.contains(&flag), "{flag}: {log}");
    }
}
