//! The API key of a hosted Graphite: it is before every name on the wire, and nowhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use zibrato::Zibrato;
use zibrato_tests::fake::{Authority, TlsPeer};
use zibrato_tests::{Broker, Carbon, DEADLINE, Running, Signal, program, wait_until};

const KEY: &str = "b65d8a7e-4e4f-hunter2";

/// The flags that name a file with the key.
fn key_file(folder: &TempDir) -> [String; 2] {
    let file = folder.path().join("key");
    fs::write(&file, format!("{KEY}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    ["--api-key-file".to_owned(), file.display().to_string()]
}

/// Starts a worker that delivers every second, with HTTP pages.
fn worker(
    broker: &Broker,
    place: u16,
    folder: &Path,
    flags: &[&str],
    variable: Option<&str>,
) -> Running {
    let mut command = Command::new(program("zibrato-carbon"));
    command.args(["--port", &broker.publishing_port().to_string(), "--flush", "1"]);
    command.args(["--http", &format!("127.0.0.1:{}", broker.worker_http_port() + place)]);
    command.args(["--log-level", "trace", "--dead-letters"]).arg(folder.join("letters"));
    command.args(flags).envs(variable.map(|key| ("ZIBRATO_CARBON_API_KEY", key)));
    let mut worker = Running::start(&mut command);
    worker.says(&["broker_connected"]);
    worker
}

fn publisher(broker: &Broker) -> Zibrato {
    let builder = Zibrato::builder().port(broker.port()).source("web-1.example.com");
    builder.interval(Duration::from_millis(100)).build().unwrap()
}

/// Everything that a worker shows to others.
fn shown(broker: &Broker, place: u16, worker: &Running) -> String {
    let pages = ["/healthz", "/readyz", "/metrics"];
    let port = broker.worker_http_port() + place;
    let pages = pages.map(|path| Broker::page_at(port, path)).concat();
    let listed = fs::read(format!("/proc/{}/cmdline", worker.id())).unwrap();
    let listed = String::from_utf8(listed).unwrap();
    assert!(listed.contains("--carbon") && pages.contains("zibrato_worker_ready"));
    [worker.log(), worker.output(), pages, listed].concat()
}

#[test]
fn every_protocol_writes_the_key_before_names_and_no_output_shows_it() {
    let (carbon, broker) = (Carbon::start(), Broker::start());
    let folder = tempfile::tempdir().unwrap();
    let file = key_file(&folder);
    let file = file.each_ref().map(String::as_str);
    let z = publisher(&broker);
    let mut workers = Vec::new();
    for (place, (scheme, port)) in
        [("tcp", carbon.port()), ("pickle", carbon.pickle_port()), ("udp", carbon.port())]
            .into_iter()
            .enumerate()
    {
        let address = format!("{scheme}://127.0.0.1:{port}");
        let mut flags = vec!["--carbon", &address, "--name", scheme, "--prefix", scheme];
        // Parts like the key are neither removed nor reversed.
        flags.extend(["--strip-duplicates", "yes", "--reverse-host", "yes"]);
        let variable = (place == 0).then_some(KEY);
        if variable.is_none() {
            flags.extend(file);
        }
        workers.push(worker(&broker, place as u16, folder.path(), &flags, variable));
    }
    z.count("info", "logins", 3);
    assert_eq!(z.flush(DEADLINE).pending, 0);
    for scheme in ["tcp", "pickle", "udp"] {
        let name = format!("{KEY}.{scheme}.com.example.web-1.logins");
        wait_until(DEADLINE, "the count", || carbon.sum(&name) == 3.0);
    }
    assert!(carbon.metrics().iter().all(|name| name.starts_with(KEY)), "{:?}", carbon.metrics());
    for (place, mut worker) in workers.into_iter().enumerate() {
        assert!(!shown(&broker, place as u16, &worker).contains("hunter2"));
        assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
        assert!(!worker.log().contains("hunter2") && !worker.log().contains("unencrypted"));
    }
}

#[test]
fn a_dead_letter_has_names_without_the_key() {
    let authority = Authority::new("Company Root CA").unwrap();
    let server = authority.issue(&["localhost"]).unwrap().server(None).unwrap();
    let peer = TlsPeer::disliking(server, b"bad").unwrap();
    let (broker, folder) = (Broker::start(), tempfile::tempdir().unwrap());
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let file = key_file(&folder);
    let (ca, address) = (ca.display().to_string(), format!("tls://localhost:{}", peer.port()));
    let flags = [&file[0], &file[1], "--carbon", &address, "--ca-file", &ca];
    let mut worker = worker(&broker, 0, folder.path(), &flags, None);
    let z = publisher(&broker);
    z.count("info", "good", 1);
    z.count("info", "bad", 2);
    assert_eq!(z.flush(DEADLINE).pending, 0);
    worker.says(&["event=\"dead_letter\""]);
    let good = format!("{KEY}.web-1.example.com.good 1 ");
    wait_until(DEADLINE, "the good line", || peer.received().contains(&good));
    assert!(!shown(&broker, 0, &worker).contains("hunter2"));
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));

    let letters = folder.path().join("letters");
    let files: Vec<_> = letters.read_dir().unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(files.len(), 1);
    let letter = fs::read_to_string(files[0].path()).unwrap();
    assert!(
        letter.contains("\nweb-1.example.com.bad 2 ") && !letter.contains("hunter2"),
        "{letter}"
    );
    let mut list = Command::new(program("zibrato-carbon"));
    list.args(["deadletter", "list", "--dead-letters"]).arg(&letters);
    let (status, output, log) = Running::run(list.env("ZIBRATO_CARBON_API_KEY", KEY));
    assert!(status.success() && output.contains("web-1.example.com.bad"), "{output}{log}");
    assert!(!(output + &log).contains("hunter2"));

    // Sent again, it has the key.
    let server = authority.issue(&["localhost"]).unwrap().server(None).unwrap();
    let peer = TlsPeer::start(server).unwrap();
    let address = format!("tls://localhost:{}", peer.port());
    let mut send = Command::new(program("zibrato-carbon"));
    send.args(["deadletter", "send", "--all", "--carbon", &address, "--ca-file", &ca]);
    send.args(&file).arg("--dead-letters").arg(&letters);
    let (status, output, log) = Running::run(&mut send);
    assert!(status.success() && !(output.clone() + &log).contains("hunter2"), "{output}{log}");
    let bad = format!("{KEY}.web-1.example.com.bad 2 ");
    // There are blanks before it, by which the command has found out whether the peer reads lines.
    wait_until(DEADLINE, "the bad line", || peer.received().trim_start().starts_with(&bad));
}

#[test]
fn a_wrong_key_and_a_key_in_plain_text_are_reported_without_showing_it() {
    let (broker, folder) = (Broker::start(), tempfile::tempdir().unwrap());
    let letters = folder.path().join("letters");
    let check = |flags: &[&str], key: Option<&str>| {
        let mut command = Command::new(program("zibrato-carbon"));
        command.args(["--check", "--port", &broker.publishing_port().to_string()]);
        command.arg("--dead-letters").arg(&letters).args(flags);
        let command = command.envs(key.map(|key| ("ZIBRATO_CARBON_API_KEY", key)));
        let (status, output, log) = Running::run(command);
        assert!(!format!("{output}{log}").contains("hunter2"), "{output}{log}");
        (status.code(), output + &log)
    };
    let valid = (Some(0), "The configuration is valid\n".to_owned());
    assert_eq!(check(&[], Some(KEY)), valid);
    let file = key_file(&folder);
    assert_eq!(check(&[&file[0], &file[1]], None), valid);
    let (code, said) = check(&["--carbon", "192.0.2.1:2003"], Some(KEY));
    assert!(
        code == Some(0) && said.contains("--carbon 192.0.2.1:2003: the API key is sent"),
        "{said}"
    );
    for (flags, key, part) in [
        (&[][..], Some("hunter2."), "the API key contains a dot"),
        (&[], Some("hunter2 b"), "the API key contains a blank"),
        (&["--api-key-file", "/nowhere/key"], None, "--api-key-file /nowhere/key: No such file"),
        (&["--carbon", "localhost:1,localhost:2"], Some(KEY), "each of several destinations"),
        (&[&file[0], &file[1]], Some(KEY), "are both given; leave one out"),
    ] {
        let (code, said) = check(flags, key);
        assert!(code == Some(78) && said.contains(part), "{said}");
    }
    let help = Command::new(program("zibrato-carbon"))
        .arg("--help")
        .env("ZIBRATO_CARBON_API_KEY", KEY)
        .output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    assert!(help.contains("--api-key-file") && !help.contains("hunter2"));
}
