//! `--check` opens what intakes would open, and keeps none of it.

use crate::program::{Running, ended, program};
use std::io::{BufRead, BufReader};
use std::process::Command;

/// Starts a broker, and returns its line `listening`.
fn start(args: &[&str]) -> (Running, String) {
    let mut running = Running(program(args).spawn().unwrap());
    let mut log = BufReader::new(running.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let line = log.find(|line| line.contains("event=\"listening\"")).unwrap();
    (running, line)
}

#[test]
fn ports_and_sockets_of_intakes_in_use_are_named_and_free_ones_stay_free() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(folder.path().join("types.db"), "gauge value:GAUGE:U:U\n").unwrap();
    let (types, packets, streams) = (file("types.db"), file("d.sock"), file("s.sock"));
    let others = ["--port", "0", "--http", "off", "--no-journal", "--collectd-types", &types];
    let args = |[collectd, metricsd, statsd, admin]: [&str; 4]| {
        let flags = [
            ("--collectd", collectd),
            ("--metricsd", metricsd),
            ("--statsd", statsd),
            ("--statsd-socket", &packets),
            ("--statsd-stream-socket", &streams),
            ("--statsd-admin", admin),
        ];
        flags.map(|(flag, value)| [flag.to_owned(), value.to_owned()])
    };
    let run = |flags: &[[String; 2]], more: &[&str]| -> Vec<String> {
        let flags = flags.iter().flatten().cloned();
        others.iter().chain(more).map(|arg| (*arg).to_owned()).chain(flags).collect()
    };

    let first = run(&args(["127.0.0.1:0"; 4]), &[]);
    let first: Vec<_> = first.iter().map(|arg| &**arg).collect();
    let (mut running, line) = start(&first);
    let at = |name: &str| {
        let rest = line.split_once(&format!("{name}=")).unwrap().1;
        rest.split(|c: char| !c.is_ascii_digit() && !".:".contains(c)).next().unwrap().to_owned()
    };
    let places = ["collectd", "metricsd", "statsd", "admin"].map(at);
    let flags = args(std::array::from_fn(|n| &*places[n]));
    let check = run(&flags, &["--check"]);
    let check: Vec<_> = check.iter().map(|arg| &**arg).collect();
    let (code, stdout, stderr) = ended(&check);
    assert_eq!((code, &*stdout), (69, ""), "{stderr}");
    for [flag, value] in &flags {
        let problem = format!("{flag} {value}: ");
        let lines = stderr.lines().filter(|line| line.contains(&problem));
        assert_eq!(lines.count(), 1, "{problem} {stderr}");
    }
    assert_eq!(stderr.lines().count(), flags.len(), "{stderr}");

    let pid = running.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(running.0.wait().unwrap().success());
    let free = run(&args(["127.0.0.1:0"; 4]), &["--check"]);
    let free: Vec<_> = free.iter().map(|arg| &**arg).collect();
    let (code, stdout, stderr) = ended(&free);
    assert_eq!((code, &*stdout), (0, "The configuration is valid\n"), "{stderr}");
    let left: Vec<_> =
        folder.path().read_dir().unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["types.db"]);
}
