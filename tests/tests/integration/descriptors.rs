//! A broker that has few file descriptors, threads or little memory: it reports that in one line,
//! or continues with what it has. It never aborts.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use zibrato::Zibrato;
use zibrato_tests::{Broker, DEADLINE, Ports, Running, Signal, program, wait_until};

/// A broker with a limit set by the shell, such as `-n 150`.
fn limited(limit: &str, ports: &Ports, folder: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &format!("ulimit {limit} && exec \"$@\""), "sh"]);
    command.arg(program("zibrato-broker")).arg("--port").arg(ports.at(0).to_string());
    command.arg("--http").arg(format!("127.0.0.1:{}", ports.at(4)));
    command.arg("--journal").arg(folder.join("journal")).args(["--journal-min-free", "0"]);
    command.arg("--ipc").arg(folder.join("ipc")).args(["--settle", "0", "--keep-levels", "info"]);
    command
}

#[test]
fn a_shortage_at_the_start_is_reported_in_one_line_without_an_abort() {
    let dir = tempfile::tempdir().unwrap();
    for (limit, part) in [
        ("-n 12", "file descriptors"),
        ("-n 20", "file descriptors"),
        ("-n 60", "file descriptors"),
        ("-v 40000", ""),
        ("-v 50000", ""),
        ("-v 70000", ""),
    ] {
        let ports = Ports::take();
        let (status, _, log) = Running::run(&mut limited(limit, &ports, dir.path()));
        assert_eq!(status.code(), Some(69), "{limit}: {log}");
        assert_eq!(log.lines().count(), 1, "{limit}: {log}");
        assert!(log.contains("the broker cannot start: too ") && log.contains(part), "{log}");
    }
}

#[test]
fn at_its_limit_the_broker_refuses_connections_and_serves_existing_ones() {
    let (dir, ports) = (tempfile::tempdir().unwrap(), Ports::take());
    let mut running = Running::start(&mut limited("-n 150", &ports, dir.path()));
    running.says(&["listening"]);
    let builder = Zibrato::builder().port(ports.at(0)).interval(Duration::from_millis(20));
    let z = builder.demand(false).build().unwrap();
    z.count("info", "n", 1);
    assert_eq!(z.flush(DEADLINE).delivered, 1);
    let page = |path| Broker::page_at(ports.at(4), path);
    let socket = dir.path().join("ipc/publishers.sock");
    // Refused connections are closed, so the same number can be opened again.
    let tcp: Vec<_> =
        (0..300).filter_map(|_| TcpStream::connect(("127.0.0.1", ports.at(0))).ok()).collect();
    let ipc: Vec<_> = (0..300).filter_map(|_| UnixStream::connect(&socket).ok()).collect();
    assert!(tcp.len() > 100 && ipc.len() > 100);
    wait_until(DEADLINE, "/readyz to say so", || {
        page("/readyz").contains("nearly all of 150 file descriptors are in use")
    });
    running.says(&["event=\"connections_refused\"", "limit=150"]);
    let metrics = page("/metrics");
    let metric = |name: &str| {
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or(f64::NAN)
    };
    assert!(metric("zibrato_broker_accepts_refused_total ") > 0.0, "{metrics}");
    assert_eq!(metric("process_max_fds "), 150.0);
    assert_eq!(metric("zibrato_broker_fd_limit "), 150.0);
    assert!(metric("process_open_fds ") <= 150.0 && metric("zibrato_broker_fd_open ") > 0.0);
    z.count("info", "n", 1);
    assert_eq!(z.flush(DEADLINE).delivered, 2, "the broker continues");
    drop((tcp, ipc));
    wait_until(2 * DEADLINE, "it to be ready again", || page("/readyz").contains(" 200 "));
    running.says(&["connections_accepted_again"]);
    let other = Zibrato::builder().port(ports.at(0)).demand(false).build().unwrap();
    other.count("info", "n", 1);
    assert_eq!(other.flush(DEADLINE).delivered, 1, "new connections are accepted again");
    assert!(running.stop(Signal::TERM).success());
    assert!(running.log().lines().count() < 20, "{}", running.log());
}
