//! The quickstart's totals equal those of other tools and of Carbon, and it reports files that it
//! cannot read.

use serde_json::Value;
use std::process::{Command, Stdio};
use zibrato::clock::unix_ms;
use zibrato_tests::{Carbon, DEADLINE, Running, program, repository, wait_until};

#[test]
fn the_totals_equal_those_of_find_wc_and_carbon() {
    let (carbon, folder) = (Carbon::start(), repository().join("zibrato"));
    let mut command = Command::new(program("quickstart"));
    command.args(["--json", "--carbon", &format!("127.0.0.1:{}", carbon.port())]).arg(&folder);
    let begun = unix_ms() / 1000;
    let (status, output, log) = Running::run(&mut command);
    let ended = unix_ms() / 1000;
    assert_eq!(status.code(), Some(0), "{log}");
    let got: Value = serde_json::from_str(&output).unwrap();

    let shell = |script: &str| {
        let (status, output, log) =
            Running::run(Command::new("/bin/sh").args(["-c", script]).current_dir(&folder));
        assert!(status.success(), "{log}");
        output.split_whitespace().map(|n| n.parse().unwrap()).collect::<Vec<u64>>()
    };
    let totals = ["lines", "bytes", "files"].map(|what| got[what].as_u64().unwrap());
    let counted = shell("find . -type f -print0 | xargs -0 cat | wc -lc; find . -type f | wc -l");
    assert_eq!(counted, totals);
    assert_eq!(got["reads"]["count"].as_u64(), Some(totals[2]));

    // Only the source differs: the quickstart has its own.
    let rust = shell("find . -name '*.rs' -print0 | xargs -0 cat | wc -l")[0];
    for (end, sum) in [(".lines.rs", rust), (".quickstart.read.count", totals[2])] {
        let metric = || carbon.metrics().into_iter().find(|metric| metric.ends_with(end));
        wait_until(DEADLINE, "the sum to be in Carbon", || {
            metric().is_some_and(|metric| carbon.sum(&metric) == sum as f64)
        });
        let points = carbon.fetch(&metric().unwrap());
        assert!(points.iter().all(|(at, _)| (begun..=ended).contains(at)), "{end}: {points:?}");
    }
}

#[test]
fn a_closed_reader_is_not_an_error() {
    let mut command = Command::new(program("quickstart"));
    command.arg(repository().join("docs")).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !log.contains("Broken pipe"), "{log}");
}

#[test]
fn a_path_that_is_not_a_file_or_folder_is_an_error() {
    let mut command = Command::new(program("quickstart"));
    let (status, _, log) = Running::run(command.arg("/dev/zero"));
    assert_eq!(status.code(), Some(74), "{log}");
    assert!(log.contains("/dev/zero: is neither a file nor a folder"), "{log}");
}
