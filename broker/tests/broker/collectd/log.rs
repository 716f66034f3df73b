//! What the log says about datagrams of CollectD.

use super::{TYPES, file, gauge, gauges, header, part, text};
use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};

/// A program that is killed at the end.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn the_log_names_the_sender_and_what_was_rejected_for_each_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_zibrato-broker"));
    command.args(["--port", "0", "--http", "off", "--no-journal", "--collectd", "127.0.0.1:0"]);
    command.arg("--collectd-types").arg(file(&folder, "types.db", TYPES));
    command.arg("--collectd-auth-file").arg(file(&folder, "auth", "alice: 1\nx\n"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut program = Program(command.spawn().unwrap());
    let mut log = BufReader::new(program.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut all = String::new();
    let mut next = |part: &str| {
        let found = log.by_ref().find(|line| {
            all += &format!("{line}\n");
            line.contains(part)
        });
        found.unwrap_or_else(|| panic!("{part} is not in\n{all}"))
    };
    // The thread of the intake and the main thread write these lines, in any order.
    let (mut invalid, mut listening) = (String::new(), String::new());
    while invalid.is_empty() || listening.is_empty() {
        match next("event=\"") {
            line if line.contains("event=\"invalid_line\"") => invalid = line,
            line if line.contains("event=\"listening\"") => listening = line,
            _ => {}
        }
    }
    let says = "error=\"expected USER: PASSWORD\"";
    assert!(invalid.contains("line=2 ") && invalid.contains(says), "{invalid}");
    let to = listening.split_once("collectd=").unwrap().1;
    let to = to.split(|c: char| !c.is_ascii_digit() && !".:".contains(c)).next().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for (datagram, expected) in [
        (text(0x100, "disk full"), "disk full"),
        (gauge("a|b", 1.0), "p.gauge.a|b"),
        (
            part(0x200, &[&[7; 32][..], b"bob"].concat()),
            "user bob: --collectd-auth-file does not have the user",
        ),
        (
            [header("gauge", "i", 1), gauges(&[1.0, 2.0])].concat(),
            "web-1/p/gauge-i: types.db has another number of values",
        ),
    ] {
        socket.send_to(&datagram, to).unwrap();
        let rejected = next("rejected_by_intake");
        let sender = format!("from {}: {expected}", socket.local_addr().unwrap());
        assert!(rejected.contains(&sender), "{rejected}");
    }
}
