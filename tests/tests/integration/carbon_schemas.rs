//! `zibrato-carbon --schemas`: whether windows fit the retentions of Carbon.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use zibrato::Zibrato;
use zibrato_tests::{Broker, DEADLINE, Running, Signal, program};

const FILE: &str = "\
[carbon]
pattern = ^carbon\\.
retentions = 60:90d

[apps]
pattern = ^(?!apps\\.slow\\.)apps\\.
retentions = 1s:6h,1m:7d

[default_1min_for_1day]
pattern = .*
retentions = 60s:1d
";

fn file(folder: &TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("storage-schemas.conf");
    std::fs::write(&path, text).unwrap();
    path
}

/// Exit code, standard output and standard error of a check.
fn check(broker: &Broker, text: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(program("zibrato-carbon"));
    command.args(["--check", "--dead-letters", "off", "--port"]);
    command.arg(broker.publishing_port().to_string());
    command.arg("--schemas").arg(file(&folder, text)).args(more);
    let (status, output, log) = Running::run(command.current_dir(folder.path()));
    (status.code(), output, log.replace(&folder.path().display().to_string(), "DIR"))
}

#[test]
fn a_check_warns_if_windows_do_not_fit_the_names_that_will_be_sent() {
    let broker = Broker::start();
    for (more, warning) in [
        (&["--flush", "60"][..], None),
        (&["--flush", "1", "--prefix", "apps"], None),
        (
            &["--flush", "10"],
            Some(
                "--flush 10 does not fit the retention of [default_1min_for_1day] in \
                 DIR/storage-schemas.conf, which names such as example.example get, with a point \
                 every 60 s: Carbon keeps only the last of several points; set --flush 60, or begin \
                 the retentions of [default_1min_for_1day] with 10s",
            ),
        ),
        (
            &["--flush", "10", "--prefix", "apps"],
            Some(
                "--flush 10 does not fit the retention of [apps] in DIR/storage-schemas.conf, which \
                 names such as apps.example.example get, with a point every 1 s: there are gaps \
                 between points; set --flush 1, or begin the retentions of [apps] with 10s",
            ),
        ),
    ] {
        let (code, output, log) = check(&broker, FILE, more);
        assert_eq!(code, Some(0), "{more:?}: {log}");
        match warning {
            None => assert_eq!((&*output, &*log), ("The configuration is valid\n", ""), "{more:?}"),
            Some(warning) => {
                assert_eq!(output, "The configuration is valid, with 1 warning\n", "{log}");
                assert!(log.contains(warning), "{log}");
            }
        }
    }
}

#[test]
fn a_file_that_carbon_cannot_read_is_an_error_with_its_line() {
    let broker = Broker::start();
    for (text, part) in [
        (
            "retentions = 60:1440\n",
            "line 1: `retentions = 60:1440` stands before the first [section]",
        ),
        ("[a]\npattern = (\nretentions = 60:1440\n", "line 2: the pattern `(` is not valid"),
        ("[a]\npattern = .*\nretentions = 1x:1d\n", "line 3: `1x:1d` has the unit `x`; use s, m"),
    ] {
        let (code, _, log) = check(&broker, text, &["--flush", "60"]);
        assert_eq!(code, Some(78), "{log}");
        assert!(log.contains(&format!("--schemas DIR/storage-schemas.conf: {part}")), "{log}");
        assert_eq!(log.lines().count(), 1, "{log}");
    }
    let (code, output, log) = check(&broker, "[a]\npattern = .*\n", &["--flush", "60"]);
    assert_eq!(
        (code, &*output),
        (Some(0), "The configuration is valid, with 1 warning\n"),
        "{log}"
    );
    assert!(
        log.contains("line 1: Carbon ignores [a], which has no `retentions`; add one"),
        "{log}"
    );
    let missing = ["--schemas", "/no/such/file", "--check"];
    let (status, _, log) = Running::run(Command::new(program("zibrato-carbon")).args(missing));
    assert_eq!(status.code(), Some(78));
    assert!(log.contains("--schemas /no/such/file: No such file or directory"), "{log}");
}

#[test]
fn a_worker_warns_once_per_section_as_names_arrive() {
    let broker = Broker::start();
    let folder = TempDir::new().unwrap();
    let schemas = file(&folder, FILE).display().to_string();
    let carbon = zibrato_tests::Carbon::start();
    let to = format!("127.0.0.1:{}", carbon.port());
    let flags = ["--flush", "1", "--schemas", &schemas, "--carbon", &to, "--prefix", "apps"];
    let mut worker = broker.worker("zibrato-carbon", &flags);
    // Windows of a second fit names that begin with the prefix.
    worker.says(&["event=\"started\""]);
    assert!(!worker.log().contains("doubtful"), "{}", worker.log());
    let builder = Zibrato::builder().port(broker.port()).source("slow");
    let z = builder.interval(Duration::from_millis(100)).build().unwrap();
    z.count("info", "logins", 1);
    worker.says(&[
        "event=\"retention_misfit\"",
        "section=\"default_1min_for_1day\"",
        "name=\"apps.slow.logins\"",
        "flush_s=1.0",
        "precision_s=60",
        "what=\"set --flush 60, or begin the retentions of [default_1min_for_1day] with 1s\"",
    ]);
    let sum = |wanted: f64| {
        zibrato_tests::wait_until(DEADLINE, "a count", || carbon.sum("apps.slow.logins") == wanted);
    };
    sum(1.0);
    z.count("info", "logins", 1);
    sum(2.0);
    assert_eq!(worker.log().matches("retention_misfit").count(), 1, "{}", worker.log());
    drop(z);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    // At start, the names to come are not known, but their prefix is.
    let flags = ["--flush", "1", "--schemas", &schemas, "--carbon", &to, "--name", "other"];
    let mut worker = broker.worker("zibrato-carbon", &flags);
    worker.says(&["event=\"doubtful\"", "--flush 1 does not fit the retention of [default_1min"]);
    assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
}
