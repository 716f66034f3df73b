//! Keys from end to end: created by the program, used by broker, application and worker.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use zibrato::Zibrato;
use zibrato::curve::Curve;
use zibrato_tests::{Broker, DEADLINE, Recorder, Running, Signal, accept, program, wait_until};

/// Keys of a broker and of some clients, and the folder of the allowed ones.
pub(super) struct Keys {
    folder: TempDir,
}

impl Keys {
    pub(super) fn of(clients: &[&str]) -> Self {
        let keys = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(keys.allowed()).unwrap();
        keys.make("broker");
        clients.iter().for_each(|client| {
            keys.make(client);
            keys.allow(client);
        });
        keys
    }

    fn make(&self, name: &str) {
        let mut keygen = Command::new(program("zibrato-broker"));
        keygen.arg("keygen").arg("--out").arg(self.folder.path()).args(["--name", name]);
        let (status, output, log) = Running::run(&mut keygen);
        assert!(status.success() && output.starts_with("public:"), "{output}{log}");
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn allowed(&self) -> PathBuf {
        self.file("allowed")
    }

    pub(super) fn allow(&self, client: &str) {
        let file = format!("{client}.pub");
        std::fs::copy(self.file(&file), self.allowed().join(&file)).unwrap();
    }

    pub(super) fn revoke(&self, client: &str) {
        std::fs::remove_file(self.allowed().join(format!("{client}.pub"))).unwrap();
    }

    /// The flags of a broker.
    pub(super) fn broker_flags(&self) -> [String; 4] {
        let (key, allowed) = (self.file("broker.key"), self.allowed());
        ["--curve-key", text(&key), "--allowed-keys", text(&allowed)].map(str::to_owned)
    }

    fn broker(&self) -> Broker {
        Broker::start_with(&self.broker_flags().each_ref().map(String::as_str))
    }

    pub(super) fn curve(&self, client: &str) -> Curve {
        let own = self.file(&format!("{client}.key"));
        Curve::read(&self.file("broker.pub").into(), &own.into()).unwrap()
    }

    /// The flags of a worker.
    fn flags(&self, client: &str) -> Vec<String> {
        let (server, own) = (self.file("broker.pub"), self.file(&format!("{client}.key")));
        ["--server-key", text(&server), "--curve-key", text(&own)].map(str::to_owned).to_vec()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn tail(port: u16, flags: &[String]) -> Running {
    let mut command = Command::new(program("zibrato-tail"));
    command.arg("--port").arg(port.to_string()).args(["--levels", "*", "--json"]);
    Running::start(command.args(flags))
}

fn instrument(broker: &Broker) -> zibrato::Builder {
    Zibrato::builder().port(broker.port()).source("payroll").interval(Duration::from_millis(50))
}

/// The sum of the values of a name that `zibrato-tail` has printed.
fn sum(tail: &Running, name: &str) -> u64 {
    let output = tail.output();
    let whole = output.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let objects =
        whole.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let of_name = objects.filter(|object| object["name"] == name);
    of_name.map(|object| object["value"].as_f64().unwrap() as u64).sum()
}

/// Measures through two recording proxies until the measurement has arrived, and returns the
/// proxies.
fn tapped(broker: &Broker, builder: zibrato::Builder, flags: &[String]) -> [Recorder; 2] {
    let wires = [Recorder::before(broker.port()), Recorder::before(broker.publishing_port())];
    let builder = builder.port(wires[0].port()).control_port(wires[1].port());
    let zibrato = builder.build().unwrap();
    let mut tail = tail(wires[1].port(), flags);
    tail.says(&["broker_connected"]);
    zibrato.count("secretlevel", "salaries.raised", 7.0);
    wait_until(DEADLINE, "the count at the worker", || sum(&tail, "salaries.raised") == 7);
    let stats = zibrato.flush(DEADLINE);
    assert_eq!((stats.delivered, stats.pending), (stats.recorded, 0));
    wires
}

#[test]
fn with_keys_everything_arrives_and_nothing_is_readable_on_the_wire() {
    let words = ["secretlevel", "salaries", "payroll", "zb1|", "zb!", "levels"];
    let plain = Broker::start();
    let wires = tapped(&plain, instrument(&plain), &[]);
    assert!(words.iter().all(|word| wires.iter().any(|wire| wire.saw(word))), "the proxies record");

    let keys = Keys::of(&["app", "worker"]);
    let broker = keys.broker();
    let wires =
        tapped(&broker, instrument(&broker).curve(keys.curve("app")), &keys.flags("worker"));
    for wire in &wires {
        assert!(wire.count() > 500, "{} bytes", wire.count());
        for word in words {
            assert!(!wire.saw(word), "{word} is readable on the wire");
        }
    }
    assert_eq!(broker.metric("zibrato_broker_allowed_keys"), 2.0);
}

#[test]
fn a_worker_without_an_allowed_key_gets_nothing_and_names_a_remedy() {
    let keys = Keys::of(&["app", "worker"]);
    keys.make("stranger");
    let broker = keys.broker();
    let zibrato = instrument(&broker).curve(keys.curve("app")).build().unwrap();
    let mut allowed = tail(broker.publishing_port(), &keys.flags("worker"));
    let mut refused =
        [&[][..], &keys.flags("stranger")].map(|flags| tail(broker.publishing_port(), flags));
    allowed.says(&["broker_connected"]);
    refused[0].says(&[
        "no_broker",
        "if the broker encrypts its connections, give its public key with --server-key",
    ]);
    let public = std::fs::read_to_string(keys.file("stranger.pub")).unwrap();
    let public = public.split(' ').next().unwrap();
    refused[1].says(&["no_broker", "--allowed-keys contain this worker's public key", public]);
    zibrato.count("info", "seen", 1.0);
    wait_until(DEADLINE, "the count", || sum(&allowed, "seen") == 1);
    assert!(refused.iter().all(|tail| tail.output().is_empty()));
    assert!(
        broker.metric("zibrato_broker_handshakes_refused_total{reason=\"unknown_key\"}") >= 1.0
    );
}

#[test]
fn hup_revokes_and_allows_keys_and_no_measurement_is_lost() {
    let keys = Keys::of(&["app", "worker"]);
    let mut broker = keys.broker();
    let zibrato = instrument(&broker).curve(keys.curve("app")).build().unwrap();
    let mut tail = tail(broker.publishing_port(), &keys.flags("worker"));
    tail.says(&["broker_connected"]);
    zibrato.count("info", "orders", 1.0);
    wait_until(DEADLINE, "the first count", || sum(&tail, "orders") == 1);

    // An invalid list changes nothing.
    std::fs::write(keys.allowed().join("bad.pub"), "public:nonsense").unwrap();
    broker.running().signal(Signal::HUP);
    broker.running().says(&["reload_failed", "bad.pub, line 1", "stays in force"]);
    zibrato.count("info", "orders", 1.0);
    wait_until(DEADLINE, "the second count", || sum(&tail, "orders") == 2);
    std::fs::remove_file(keys.allowed().join("bad.pub")).unwrap();

    keys.revoke("app");
    broker.running().signal(Signal::HUP);
    broker.running().says(&["event=\"reloaded\"", "revoked=1"]);
    zibrato.count("info", "orders", 10.0);
    let refused = "zibrato_broker_handshakes_refused_total{reason=\"revoked_key\"}";
    wait_until(DEADLINE, "a refusal", || broker.metric(refused) >= 1.0);
    wait_until(DEADLINE, "the program to be disconnected", || !zibrato.stats().connected);
    assert_eq!((sum(&tail, "orders"), zibrato.stats().pending > 0), (2, true));
    broker.running().says(&["handshake_refused", "taken off the list"]);

    keys.allow("app");
    broker.running().signal(Signal::HUP);
    broker.running().says(&["event=\"reloaded\"", "added=1"]);
    wait_until(DEADLINE, "the rest", || sum(&tail, "orders") == 12);
    let stats = zibrato.flush(DEADLINE);
    assert_eq!((stats.delivered, stats.total_lost()), (stats.recorded, 0));
}

#[test]
fn a_broker_with_unix_sockets_needs_no_tcp() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("zibrato");
    let mut command = Command::new(program("zibrato-broker"));
    command.args(["--host", "off", "--http", "off", "--no-journal", "--ipc", text(&run)]);
    let mut broker = Running::start(&mut command);
    broker.says(&["listening", "publishers.sock"]);
    let host = format!("ipc://{}", run.display());
    let mut tail = tail(1, &["--host".to_owned(), host.clone()]);
    tail.says(&["broker_connected"]);
    let zibrato = Zibrato::builder().host(host).build().unwrap();
    zibrato.count("info", "local", 3.0);
    wait_until(DEADLINE, "the count", || sum(&tail, "local") == 3);

    let (status, _, log) = Running::run(&mut command);
    assert!(status.code() == Some(78) && log.contains("another broker listens there"), "{log}");
    assert_eq!(broker.stop(Signal::TERM).code(), Some(0));
    // The next broker listens there, and all clients reconnect.
    let mut broker = Running::start(&mut command);
    broker.says(&["listening", "publishers.sock"]);
    zibrato.count("info", "local", 4.0);
    wait_until(DEADLINE, "the rest", || sum(&tail, "local") == 7);
    assert_eq!(broker.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn invalid_keys_cause_exit_code_78_and_a_line_without_secrets() {
    let keys = Keys::of(&["app"]);
    let secret = std::fs::read_to_string(keys.file("app.key")).unwrap();
    let secret = secret.lines().last().unwrap().to_owned();
    let [server, own, public] =
        ["broker.pub", "app.key", "app.pub"].map(|file| text(&keys.file(file)).to_owned());
    let allowed = keys.allowed();
    let fails = |name: &str, args: &[&str], part: &str| {
        let (status, output, log) = Running::run(Command::new(program(name)).args(args));
        assert_eq!(status.code(), Some(78), "{name} {args:?}: {log}");
        assert!(log.contains(part) && log.lines().count() == 1, "{name} {args:?}: {log}");
        assert!(!(output + &log).contains(secret.trim_start_matches("secret:")));
    };
    for (args, part) in [
        (&["--curve-key", &*own][..], "--curve-key needs --allowed-keys"),
        (&["--allowed-keys", text(&allowed)], "--allowed-keys needs --curve-key"),
        (&["--curve-key", &public, "--allowed-keys", text(&allowed)], "this is a public key"),
        (&["--curve-key", &own, "--allowed-keys", &own], "line 3: this is a secret key"),
        (&["--curve-key", &own, "--allowed-keys", "/nowhere"], "--allowed-keys /nowhere"),
        (&["--curve-key", &secret, "--allowed-keys", "/nowhere"], "--allowed-keys /nowhere"),
        (&["--curve-key", "secret:short", "--allowed-keys", "x"], "5 characters in place of 40"),
        (&["--ipc", "relative"], "give an absolute path"),
        (&["--host", "off"], "nowhere to listen"),
        (&["--host", "0.0.0.0"], "--curve-key"),
    ] {
        fails("zibrato-broker", args, part);
    }
    for (args, part) in [
        (&["--server-key", &*server][..], "given without --curve-key"),
        (&["--curve-key", &own], "given without --server-key"),
        (&["--server-key", &own, "--curve-key", &own], "this is a secret key"),
        (&["--server-key", &server, "--curve-key", &public], "this is a public key"),
        (&["--server-key", &server, "--curve-key", "/nowhere"], "/nowhere"),
    ] {
        fails("zibrato-tail", args, part);
        fails("zibrato-carbon", &[args, &["--check"]].concat(), part);
    }
    let again = ["keygen", "--out", text(keys.folder.path()), "--name", "app"];
    fails("zibrato-broker", &again, "already exists");
}

#[test]
fn no_output_of_a_running_program_shows_a_secret() {
    let keys = Keys::of(&["app", "worker"]);
    let secret = |name: &str| {
        let text = std::fs::read_to_string(keys.file(name)).unwrap();
        let key = text.lines().last().unwrap().trim_start_matches("secret:").to_owned();
        assert_eq!(key.len(), 40);
        key
    };
    let secrets = ["broker.key", "app.key", "worker.key"].map(secret);
    let mut broker = keys.broker();
    let mut tail = tail(
        broker.publishing_port(),
        &[keys.flags("worker"), vec!["--log-level=trace".into()]].concat(),
    );
    tail.says(&["broker_connected"]);
    let zibrato = instrument(&broker).curve(keys.curve("app")).build().unwrap();
    zibrato.count("info", "n", 1.0);
    wait_until(DEADLINE, "the count", || sum(&tail, "n") == 1);
    broker.running().signal(Signal::HUP);
    broker.running().says(&["event=\"reloaded\""]);
    let shown = [
        broker.running().log(),
        broker.page("/metrics"),
        broker.page("/readyz"),
        tail.log(),
        tail.output(),
        format!("{zibrato:?} {:?}", keys.curve("app")),
    ];
    for secret in secrets {
        assert!(shown.iter().all(|text| !text.contains(&secret)), "a secret is shown");
    }
}

#[test]
fn an_application_reads_its_keys_from_variables_and_never_uses_plain_text_instead() {
    let keys = Keys::of(&["app"]);
    let broker = keys.broker();
    let run = |server: &str, own: &str| {
        let mut command = Command::new(program("ending"));
        command.args([&broker.port().to_string(), "2000", "3", "return"]);
        Running::run(command.env("ZIBRATO_SERVER_KEY", server).env("ZIBRATO_CURVE_KEY", own))
    };
    let file = |name: &str| text(&keys.file(name)).to_owned();
    let batches = || broker.metric("zibrato_broker_batches_total{intake=\"zmq\"}");
    let (status, _, log) = run(&file("broker.pub"), &file("app.pub"));
    assert!(!status.success() && log.contains("this is a public key"), "{log}");
    let (status, _, log) = run(&file("broker.pub"), "");
    assert!(!status.success() && log.contains("ZIBRATO_CURVE_KEY"), "{log}");
    let (status, ..) = run("", "");
    assert!(status.success() && batches() == 0.0);
    let (status, _, log) = run(&file("broker.pub"), &file("app.key"));
    assert!(status.success() && batches() > 0.0, "{log}");
}

#[test]
fn a_worker_reads_the_journal_with_its_key_and_over_a_folder() {
    let keys = Keys::of(&["app", "worker"]);
    let run = keys.file("run");
    let (key, allowed) = (keys.file("broker.key"), keys.allowed());
    let broker = Broker::start_with(&[
        "--curve-key",
        text(&key),
        "--allowed-keys",
        text(&allowed),
        "--ipc",
        text(&run),
    ]);
    let zibrato = instrument(&broker).curve(keys.curve("app")).build().unwrap();
    let (port, host) = (broker.publishing_port().to_string(), format!("ipc://{}", run.display()));
    for (name, place) in [("by-tcp", ["--port", &*port]), ("by-folder", ["--host", &*host])] {
        let carbon = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = carbon.local_addr().unwrap().to_string();
        let mut command = Command::new(program("zibrato-carbon"));
        command.args(place).args(["--name", name, "--carbon", &address, "--flush", "1"]);
        command.arg("--dead-letters").arg(keys.file("dead")).args(keys.flags("worker"));
        let mut worker = Running::start(command.env("ZIBRATO_CARBON_LOG_LEVEL", "debug"));
        let mut cursors = Command::new(program("zibrato-broker"));
        cursors.args(["cursors", "list", "--port", &broker.port().to_string()]);
        cursors.args(["--curve-key", text(&key)]);
        wait_until(DEADLINE, "the cursor", || Running::run(&mut cursors).1.contains(name));
        zibrato.count("info", name, 5.0);
        let mut lines = BufReader::new(accept(&carbon)).lines();
        let line = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(name)));
        let line = line.unwrap().unwrap();
        assert!(line.split(' ').nth(1) == Some("5"), "{line}");
        assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    }
}
