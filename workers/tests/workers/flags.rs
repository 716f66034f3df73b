//! The errors of a worker program about its flags.

use crate::program::Program;

const CARBON: &str = env!("CARGO_BIN_EXE_zibrato-carbon");
const TAIL: &str = env!("CARGO_BIN_EXE_zibrato-tail");

#[test]
fn check_succeeds_without_a_backend_and_warns_without_a_broker() {
    for program in [CARBON, TAIL] {
        let (code, stdout, stderr) = Program::run(program, &["--check", "--port", "1"]);
        assert_eq!(
            (code, &*stdout),
            (Some(0), "The configuration is valid, with 1 warning\n"),
            "{program}"
        );
        assert!(stderr.contains("nothing listens there"), "{stderr}");
    }
}

#[test]
fn errors_about_flags_say_what_to_do() {
    for (args, code, part) in [
        (["--levels", ""], 64, "--levels info,warn"),
        (["--levels", "a,,b"], 64, "an extra comma"),
        (["--levels", "a|b"], 64, "use `.` or `-`"),
        (["--flush", "0"], 64, "--flush 60"),
        (["--flush", "-1"], 64, "--flush 60"),
        (["--flush", "soon"], 64, "--flush 60"),
        (["--max-series", "0"], 64, "at least 1"),
        (["--max-windows", "-1"], 64, "windows from 1 to 10000"),
        (["--max-windows", "10001"], 64, "windows from 1 to 10000"),
        (["--port", "0"], 64, "--port"),
        (["--shutdown-timeout", "-1"], 64, "seconds from 0 to 3600"),
        (["--no-such", "x"], 64, "--no-such"),
        (["--flush", "0.5"], 78, "at least 1 s"),
        (["--log-level", "info=="], 78, "--log-level"),
        (["--carbon", "here"], 64, "host:port"),
        (["--gauge-parts", ""], 64, "parts are last, min, max, mean and count"),
        (["--gauge-parts", "last,p99"], 64, "unknown part `p99`"),
        (["--idle-gauges", ""], 64, "use repeat, zero or omit"),
        (["--idle-gauges", "keep"], 64, "use repeat, zero or omit"),
        (["--prefix", "a b"], 78, "use `a_b`"),
        (["--host", "a b"], 78, "is not a valid address"),
    ] {
        let (found, stdout, stderr) = Program::run(CARBON, &args);
        assert_eq!(found, Some(code), "{args:?}: {stdout}{stderr}");
        assert!(stderr.contains(part), "{args:?}: {stderr}");
    }
    let (code, _, stderr) = Program::run(TAIL, &["--levels", ","]);
    assert!(code == Some(64) && stderr.contains("--levels info,warn"), "{stderr}");
}

#[test]
fn parts_and_idle_gauges_come_from_flags_variables_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("carbon.toml");
    std::fs::write(&file, "gauge-parts = \"last,median\"\nidle-gauges = \"repeat\"\n").unwrap();
    let config = file.to_str().unwrap();
    let (code, _, stderr) = Program::run(CARBON, &["--config", config, "--check"]);
    assert!(code == Some(78) && stderr.contains("unknown part `median`"), "{code:?}: {stderr}");
    std::fs::write(&file, "gauge-parts = \"last,mean\"\nidle-gauges = \"omit\"\n").unwrap();
    let args = ["--config", config, "--gauge-parts", "max,last,max", "--check", "--port", "1"];
    let (code, _, stderr) = Program::run(CARBON, &args);
    assert_eq!(code, Some(0), "{stderr}");
    let variables = [("ZIBRATO_CARBON_IDLE_GAUGES", "never")];
    let (code, _, stderr) = Program::run_with(CARBON, &["--check"], &variables);
    assert!(code == Some(78) && stderr.contains("unknown word `never`"), "{code:?}: {stderr}");
}

#[test]
fn help_shows_flags_defaults_and_examples() {
    let (code, help, _) = Program::run(CARBON, &["--help"]);
    assert_eq!(code, Some(0));
    for part in [
        "Delivers measurements to Carbon",
        "--levels <LEVELS>",
        "[default: info]",
        "ZIBRATO_CARBON_FLUSH",
        "--timer-parts <PARTS>",
        "Examples:\n  zibrato-carbon --levels info,warn",
    ] {
        assert!(help.contains(part), "{part:?} in {help}");
    }
}

#[test]
fn the_help_of_each_subcommand_shows_examples() {
    for what in ["deadletter", "deadletter list", "deadletter send", "deadletter drop"] {
        let args: Vec<_> = what.split(' ').chain(["--help"]).collect();
        let (code, help, _) = Program::run(CARBON, &args);
        let example = format!("Examples:\n  zibrato-carbon {what}");
        assert!(code == Some(0) && help.contains(&example), "{what}: {help}");
        // The meaning of a flag for a worker that starts.
        for part in ["Keep the place", "Keep payloads"] {
            assert!(!help.contains(part), "{what}: {part}: {help}");
        }
    }
}
