//! Backends behind TLS: trusted authorities, errors about untrusted certificates, and proxies.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread::Builder;
use std::time::Duration;
use tempfile::TempDir;
use zibrato::Zibrato;
use zibrato_tests::fake::{ConnectProxy, FakeLibrato, Tls};
use zibrato_tests::{Broker, DEADLINE, Running, Signal, accept, program, wait_until};

/// A name that cannot be resolved.
const ELSEWHERE: &str = "metrics.company.invalid";

struct Setting {
    broker: Broker,
    librato: FakeLibrato,
    tls: Tls,
    folder: TempDir,
}

impl Setting {
    fn new() -> Self {
        let librato = FakeLibrato::start().unwrap();
        let tls = Tls::before(&librato.url(), &["localhost", ELSEWHERE]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        tls.write_authority(&folder.path().join("ca.pem")).unwrap();
        Self { broker: Broker::start(), librato, tls, folder }
    }

    fn authority(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    fn worker(&self, host: &str, flags: &[&str], variables: &[(&str, &str)]) -> Running {
        let mut command = Command::new(program("zibrato-librato"));
        let letters = self.folder.path().join("letters");
        command
            .args(["--username", FakeLibrato::USERNAME, "--apitoken", FakeLibrato::APITOKEN])
            .args(["--api-url", &format!("https://{host}:{}", self.tls.port())])
            .args(["--port", &self.broker.publishing_port().to_string(), "--flush", "1"])
            .args(["--http", &format!("127.0.0.1:{}", self.broker.worker_http_port())])
            .arg("--dead-letters")
            .arg(letters)
            .args(flags)
            .env_remove("SSL_CERT_FILE")
            .env_remove("SSL_CERT_DIR")
            .envs(variables.iter().copied());
        let mut worker = Running::start(&mut command);
        worker.says(&["event=\"broker_connected\""]);
        worker
    }

    fn publisher(&self) -> Zibrato {
        let builder = Zibrato::builder().port(self.broker.port()).source("web-1");
        builder.interval(Duration::from_millis(50)).build().unwrap()
    }

    fn is_delivered(&self) -> bool {
        !self.librato.gauges().is_empty()
    }

    fn metric(&self, line: &str) -> bool {
        let page = Broker::page_at(self.broker.worker_http_port(), "/metrics");
        page.lines().any(|one| one == line)
    }
}

#[test]
fn an_untrusted_certificate_is_named_with_its_issuer_and_a_remedy() {
    let setting = Setting::new();
    let mut worker = setting.worker("localhost", &[], &[]);
    setting.publisher().count("info", "logins", 1);
    let line = worker.says(&["event=\"held\""]);
    for part in ["certificate of localhost", "--ca-file", "SSL_CERT_FILE"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    worker.says(&["event=\"certificate_issuer\"", "host=\"localhost\"", Tls::AUTHORITY]);
    // The payload was never sent, so it cannot arrive twice.
    assert!(setting.metric("zibrato_worker_repeated_total 0") && !setting.is_delivered());
    wait_until(DEADLINE, "a page that says so", || {
        let page = Broker::page_at(setting.broker.worker_http_port(), "/readyz");
        page.starts_with("HTTP/1.1 503") && page.contains("certificate of localhost")
    });
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    // The same certificate, for another host.
    let mut worker = setting.worker("127.0.0.1", &["--ca-file", &setting.authority()], &[]);
    worker.says(&["event=\"held\"", "it is for another host"]);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn an_authority_is_configured_by_a_flag_or_a_variable() {
    let setting = Setting::new();
    let (authority, folder) = (setting.authority(), setting.folder.path().display().to_string());
    let z = setting.publisher();
    for (count, (flags, variables, from)) in [
        (&["--ca-file", &authority][..], &[][..], "of_ca_file=1"),
        (&[], &[("SSL_CERT_FILE", &*authority)], "SSL_CERT_FILE="),
        (&[], &[("SSL_CERT_DIR", &*folder)], "SSL_CERT_DIR="),
        (&[], &[("ZIBRATO_LIBRATO_CA_FILE", &*authority)], "of_ca_file=1"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut worker = setting.worker("localhost", flags, variables);
        worker.says(&["event=\"trust\"", from]);
        worker.says(&["event=\"started\"", "to=\"https://localhost:"]);
        let before = setting.librato.requests().len();
        z.count("info", "logins", count as u64 + 1);
        wait_until(DEADLINE, "a request", || setting.librato.requests().len() > before);
        assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    }
    let mut command = Command::new(program("zibrato-librato"));
    command.args(["--username", "a", "--apitoken", "b", "--ca-file", "nowhere.pem", "--check"]);
    let (status, _, log) = Running::run(&mut command);
    assert!(status.code() == Some(78) && log.contains("--ca-file nowhere.pem"), "{log}");
}

#[test]
fn proxy_errors_and_a_port_without_tls_are_reported() {
    let setting = Setting::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answers = Builder::new().spawn(move || {
        // The worker asks for the list of metrics at its start, and then delivers.
        for _ in 0..2 {
            let mut stream = accept(&listener);
            let head = BufReader::new(&stream).lines().map_while(Result::ok);
            assert!(head.take_while(|line| !line.is_empty()).count() > 0);
            let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).unwrap();
        }
    });
    let z = setting.publisher();
    let url = format!("http://{address}");
    let variables = [("HTTPS_PROXY", &*url)];
    let mut worker = setting.worker(ELSEWHERE, &[], &variables);
    z.count("info", "logins", 1);
    worker.says(&["event=\"held\"", "407", "credentials", "HTTPS_PROXY"]);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    answers.unwrap().join().unwrap();

    // The port is no longer in use.
    let mut worker = setting.worker(ELSEWHERE, &[], &variables);
    z.count("info", "logins", 1);
    worker.says(&["event=\"retry\"", &format!("the proxy {url} (HTTPS_PROXY)")]);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));

    let api = setting.librato.url().replace("http://127.0.0.1", "https://localhost");
    let mut worker = setting.worker("localhost", &["--api-url", &api], &[]);
    z.count("info", "logins", 1);
    worker.says(&["event=\"retry\"", "does not speak TLS on this port"]);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
}

#[test]
fn requests_use_the_proxy_of_the_environment_except_local_ones() {
    let setting = Setting::new();
    let proxy = ConnectProxy::to(setting.tls.port()).unwrap();
    let with_user = proxy.url().replace("http://", "http://ann:se%40cret@");
    let authority = setting.authority();
    let flags = ["--ca-file", &*authority];
    let z = setting.publisher();

    let mut worker = setting.worker(ELSEWHERE, &flags, &[("HTTPS_PROXY", &with_user)]);
    let line = worker.says(&["event=\"started\"", "through the proxy", "HTTPS_PROXY"]);
    assert!(!line.contains("cret"), "{line}");
    z.count("info", "logins", 1);
    wait_until(DEADLINE, "the window", || setting.is_delivered());
    let asked = proxy.asked();
    let expected = format!(
        "CONNECT {ELSEWHERE}:{} HTTP/1.1 Proxy-Authorization: Basic YW5uOnNlQGNyZXQ=",
        setting.tls.port()
    );
    assert!(!asked.is_empty() && asked.iter().all(|line| *line == expected), "{asked:?}");
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));

    let url = proxy.url();
    let variables = [("HTTPS_PROXY", &*url), ("NO_PROXY", "company.invalid")];
    let mut worker = setting.worker(ELSEWHERE, &flags, &variables);
    z.count("info", "logins", 1);
    worker.says(&["event=\"retry\""]);
    assert!(setting.metric("zibrato_worker_repeated_total 0"));
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));

    let mut worker = setting.worker("localhost", &flags, &[("ALL_PROXY", &url)]);
    let before = setting.librato.requests().len();
    z.count("info", "logins", 1);
    wait_until(DEADLINE, "a request", || setting.librato.requests().len() > before);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    assert_eq!(proxy.asked().len(), asked.len());
}
