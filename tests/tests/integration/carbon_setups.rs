//! Each configuration of docs/carbon.md delivers to real Carbons.

use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use zibrato::Zibrato;
use zibrato_tests::{Broker, Carbon, DEADLINE, Running, Signal, program, repository, wait_until};

/// The configurations in the page.
fn configurations(page: &str) -> Vec<&str> {
    let blocks = page.split("\n```toml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).collect()
}

#[test]
fn every_configuration_of_the_page_delivers() {
    let page = std::fs::read_to_string(repository().join("docs/carbon.md")).unwrap();
    let all = configurations(&page);
    assert!(all.len() >= 7, "{all:?}");
    let (broker, folder) = (Broker::start(), TempDir::new().unwrap());
    let carbons = [Carbon::start(), Carbon::start()];
    let builder = Zibrato::builder().port(broker.port()).source("web-1");
    let z = builder.interval(Duration::from_millis(100)).build().unwrap();
    let (mut workers, mut checked) = (Vec::new(), 0);
    for (at, text) in all.iter().enumerate() {
        let mut text = (*text).to_owned();
        if text.contains("tls://") || text.contains("api-key-file") {
            check(&broker, &folder, &text);
            checked += 1;
            continue;
        }
        for (host, carbon) in [
            ("graphite.internal", &carbons[0]),
            ("relay.internal", &carbons[0]),
            ("go-carbon.internal", &carbons[0]),
            ("g1.internal", &carbons[0]),
            ("g2.internal", &carbons[1]),
        ] {
            let (lines, pickles) = (carbon.port(), carbon.pickle_port());
            for (port, real) in [("2003", lines), ("2004", pickles), ("2014", pickles)] {
                text = text.replace(&format!("\"{host}:{port}"), &format!("\"127.0.0.1:{real}"));
                text = text.replace(&format!("/{host}:{port}"), &format!("/127.0.0.1:{real}"));
            }
        }
        assert!(!text.contains(".internal"), "{text}");
        let file = folder.path().join(format!("{at}.toml"));
        std::fs::write(&file, text).unwrap();
        let (file, name) = (file.display().to_string(), format!("setup-{at}"));
        let args = ["--config", &file, "--flush", "1", "--name", &name, "--postfix", &name];
        let worker = broker.worker("zibrato-carbon", &args);
        workers.push((name, worker));
    }
    assert_eq!(checked, 3);
    z.count("info", "logins", 3);
    assert_eq!(z.flush(DEADLINE).pending, 0);
    for (name, worker) in &mut workers {
        wait_until(DEADLINE, &format!("the count of {name}"), || {
            let all = carbons.iter().flat_map(Carbon::fetch_all);
            let own = all.filter(|(metric, _)| {
                metric.contains("web-1.logins") && metric.ends_with(&format!(".{name}"))
            });
            own.flat_map(|(_, points)| points).map(|(_, value)| value).sum::<f64>() == 3.0
        });
        assert_eq!(worker.stop(Signal::TERM).code(), Some(0), "{}", worker.log());
    }
}

/// Validates a configuration with secrets or TLS; other tests deliver with these.
fn check(broker: &Broker, folder: &TempDir, text: &str) {
    let key = folder.path().join("key");
    std::fs::write(&key, "0123-abcd\n").unwrap();
    let mut text = text.replace("/etc/zibrato/graphite-key", &key.display().to_string());
    for host in ["graphite.internal", "HOST.carbon.hostedgraphite.com"] {
        text = text.replace(host, "localhost");
    }
    text = text.replace("company.pem", "/etc/ssl/certs/ca-certificates.crt");
    let file = folder.path().join("checked.toml");
    std::fs::write(&file, &text).unwrap();
    let mut command = Command::new(program("zibrato-carbon"));
    command.arg("--check").arg("--config").arg(&file).env("HOME", folder.path());
    command.args(["--port", &broker.publishing_port().to_string()]);
    let (status, output, log) = Running::run(&mut command);
    assert!(status.success() && !output.contains("0123") && !log.contains("0123"), "{text}{log}");
}
