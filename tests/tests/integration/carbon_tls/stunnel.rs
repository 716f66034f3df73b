//! The program, with a real stunnel in front of a real Carbon.

use super::{Company, NAMES};
use std::process::Command;
use std::time::Duration;
use zibrato::Zibrato;
use zibrato_tests::fake::Authority;
use zibrato_tests::{
    Broker, Carbon, DEADLINE, Ports, Running, Signal, Stunnel, program, wait_until,
};

/// A Carbon behind a stunnel, and what measures.
struct Setting {
    company: Company,
    carbon: Carbon,
    ports: Ports,
    broker: Broker,
}

impl Setting {
    fn new() -> Self {
        let (company, carbon) = (Company::new(), Carbon::start());
        Self { company, carbon, ports: Ports::take(), broker: Broker::start() }
    }

    /// A stunnel that requires client certificates of the authority in the file `clients`.
    fn stunnel(&self, clients: Option<&str>) -> Stunnel {
        let services =
            [(self.ports.at(0), self.carbon.port()), (self.ports.at(1), self.carbon.pickle_port())];
        let clients = clients.map(|name| self.company.path(name));
        Stunnel::start(&self.company.server(), &services, clients.as_deref())
    }

    /// `tls://` or `pickle+tls://` with a host.
    fn address(&self, scheme: &str, host: &str) -> String {
        let port = self.ports.at(u16::from(scheme.starts_with("pickle")));
        format!("{scheme}://{host}:{port}")
    }

    fn worker(&self, address: &str, flags: &[&str]) -> Running {
        let flags = [&["--flush", "1", "--carbon", address], flags].concat();
        self.broker.worker("zibrato-carbon", &flags)
    }

    fn publisher(&self) -> Zibrato {
        let builder = Zibrato::builder().port(self.broker.port()).source("web-1");
        builder.interval(Duration::from_millis(100)).build().unwrap()
    }
}

#[test]
fn lines_and_pickles_reach_carbon_through_stunnel() {
    let setting = Setting::new();
    let stunnel = setting.stunnel(None);
    let file = setting.company.text("authorities/ca.pem");
    let folder = setting.company.text("authorities");
    let mut workers = [
        ("lines", setting.address("tls", NAMES[0]), ["--ca-file", &file]),
        ("pickles", setting.address("pickle+tls", NAMES[1]), ["--ca-dir", &folder]),
    ]
    .map(|(name, address, trust)| {
        let names = ["--name", name, "--prefix", name];
        let mut worker = setting.worker(&address, &[&names[..], &trust].concat());
        worker.says(&["event=\"trust\"", "=1"]);
        worker.says(&["event=\"started\"", &format!("to=\"{address}\"")]);
        worker
    });
    let z = setting.publisher();
    for round in 1..=20_u32 {
        z.count("info", "logins", round);
        z.time("info", "db.query", Duration::from_millis(10) * round);
        z.set_gauge("info", "queue.depth", f64::from(round) / 3.0);
    }
    assert_eq!(z.flush(DEADLINE).pending, 0);
    let carbon = &setting.carbon;
    for prefix in ["lines", "pickles"] {
        let name = |rest: &str| format!("{prefix}.web-1.{rest}");
        wait_until(DEADLINE, "the values", || {
            carbon.sum(&name("logins")) == 210.0
                && carbon.sum(&name("db.query.count")) == 20.0
                && carbon.fetch(&name("queue.depth")).last().is_some_and(|(_, v)| *v == 20.0 / 3.0)
        });
    }
    for worker in &mut workers {
        assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    }
    // These are stunnel's words for an end with close_notify, and for one without.
    let ends = |how: &str| stunnel.log().lines().filter(|line| line.contains(how)).count();
    wait_until(DEADLINE, "the ends", || ends(": TLS closed (SSL_read)") == 2);
    assert_eq!(ends("TLS socket closed"), 0, "{}", stunnel.log());
}

#[test]
fn nothing_is_missing_after_stunnel_was_killed() {
    let setting = Setting::new();
    let mut stunnel = setting.stunnel(None);
    let trust = ["--ca-dir", &setting.company.text("authorities")];
    let mut worker = setting.worker(&setting.address("tls", "localhost"), &trust);
    let z = setting.publisher();
    z.count("info", "logins", 1);
    wait_until(DEADLINE, "the first", || setting.carbon.sum("web-1.logins") == 1.0);
    stunnel.kill();
    z.count("info", "logins", 10);
    assert_eq!(z.flush(DEADLINE).pending, 0);
    worker.says(&["event=\"disconnected\""]);
    worker.says(&["event=\"retry\"", "cannot connect to tls://localhost:"]);
    z.count("info", "logins", 100);
    assert_eq!(z.flush(DEADLINE).pending, 0);
    stunnel.restart();
    wait_until(DEADLINE, "all counts", || setting.carbon.sum("web-1.logins") == 111.0);
    worker.says(&["event=\"recovered\""]);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn a_worker_that_stunnel_refuses_says_what_to_do_and_shows_no_key() {
    let setting = Setting::new();
    let company = &setting.company;
    let _stunnel = setting.stunnel(Some("authorities/ca.pem"));
    let stranger = Authority::new("Stranger").unwrap();
    company.write_client("stranger", &stranger);
    company.write_client("worker", &company.authority);
    let trust = ["--ca-dir".to_owned(), company.text("authorities")];
    let client = |name: &str| {
        let (certificate, key) = (company.text(&format!("{name}.pem")), format!("{name}.key"));
        ["--client-cert".to_owned(), certificate, "--client-key".to_owned(), company.text(&key)]
    };
    let z = setting.publisher();
    let address = setting.address("tls", "localhost");
    for (address, flags, part) in [
        (&address, vec![], "requires a client certificate; give --client-cert and --client-key"),
        (&address, client("stranger").to_vec(), "does not trust its issuer"),
        (&address.replace("tls://", ""), vec![], "write tls:// in front of its address"),
    ] {
        let trust = if address.starts_with("tls") { &trust[..] } else { &[] };
        let flags: Vec<_> = flags.iter().chain(trust).map(String::as_str).collect();
        let mut worker = setting.worker(address, &flags);
        z.count("info", "logins", 1);
        worker.says(&["event=\"held\"", part]);
        assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    }
    let mut check = Command::new(program("zibrato-carbon"));
    let (status, output, log) =
        Running::run(check.args(["check", "--carbon", &address]).args(&trust));
    assert!(status.code() == Some(69) && output.contains("give --client-cert"), "{output}{log}");
    let client = client("worker");
    let flags: Vec<_> = client.iter().chain(&trust).map(String::as_str).collect();
    let mut worker = setting.worker(&address, &[&flags[..], &["--log-level", "trace"]].concat());
    // The counts of the workers before are in the journal.
    wait_until(DEADLINE, "all counts", || setting.carbon.sum("web-1.logins") == 3.0);
    let key = std::fs::read_to_string(company.path("worker.key")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    assert!(secret.len() > 40 && !worker.log().contains(secret));
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn a_check_reports_whether_certificates_and_keys_can_be_read() {
    let company = Company::new();
    company.write_client("worker", &company.authority);
    let broker = Broker::start();
    let (certificate, key) = (company.text("worker.pem"), company.text("worker.key"));
    let ca = company.text("authorities/ca.pem");
    let letters = company.text("letters");
    let check = |flags: &[&str]| {
        let mut command = Command::new(program("zibrato-carbon"));
        command.args(["--check", "--dead-letters", &letters]);
        command.args(["--port", &broker.publishing_port().to_string()]);
        let (status, output, log) = Running::run(command.args(flags));
        (status.code(), output, log)
    };
    let tls = ["--carbon", "tls://localhost:2003"];
    let good = ["--ca-file", &ca, "--client-cert", &certificate, "--client-key", &key];
    for flags in [&[&tls[..], &good].concat()[..], &tls] {
        let (code, output, log) = check(flags);
        assert_eq!((code, &*output), (Some(0), "The configuration is valid\n"), "{log}");
        assert!(log.lines().all(|line| line.contains("event=\"trust\"")), "{log}");
    }
    for (flags, part) in [
        (&["--ca-file", "/nowhere/ca.pem"][..], "--ca-file /nowhere/ca.pem: "),
        (&["--ca-dir", "/nowhere"], "--ca-dir /nowhere: "),
        (&["--ca-file", &key], "contains no certificate"),
        (&["--client-cert", &certificate], "--client-cert needs its private key"),
        (&["--client-cert", "/nowhere/a.pem", "--client-key", &key], "/nowhere/a.pem: "),
        (&["--client-cert", &certificate, "--client-key", "/nowhere/a.key"], "/nowhere/a.key: "),
        (&["--client-cert", &certificate, "--client-key", &ca], "contains no private key"),
    ] {
        let (code, output, log) = check(&[&tls[..], flags].concat());
        assert_eq!((code, &*output), (Some(78), ""), "{log}");
        assert!(log.contains(part), "{flags:?}: {log}");
    }
    let (code, _, log) = check(&good);
    assert!(code == Some(78) && log.contains("--ca-file is for TLS"), "{log}");
}
