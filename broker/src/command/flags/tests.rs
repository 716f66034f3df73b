//! Flags are read as they are documented, and turned into a configuration.

use super::{Flags, Http, http};
use clap::{CommandFactory, Parser};

#[test]
fn the_flags_are_consistent() {
    Flags::command().debug_assert();
}

#[test]
fn cursors_are_asked_for_where_the_broker_is_and_in_its_folder_if_it_has_one() {
    for (flags, expected) in [
        (&[][..], "tcp://127.0.0.1:5552"),
        (&["--host", "::1", "--port", "7000"], "tcp://[::1]:7002"),
        (&["--ipc", "/run/z"], "ipc:///run/z/replay.sock"),
        (&["--host", "off", "--ipc", "/run/z"], "ipc:///run/z/replay.sock"),
        (&["--host", "ipc:///run/z"], "ipc:///run/z/replay.sock"),
    ] {
        let args = [&["zibrato-broker"], flags, &["cursors", "list"]].concat();
        let flags = Flags::try_parse_from(args).unwrap();
        assert_eq!(flags.replay_endpoint(flags.port), expected);
    }
}

#[test]
fn defaults_are_those_of_the_library() {
    // Only these defaults differ: they suit a program, but not a test or an embedded broker.
    let args = ["zibrato-broker", "--http", "off", "--settle", "0", "--no-journal"];
    let flags = Flags::try_parse_from(args).unwrap();
    let (ours, theirs) = (flags.config().unwrap(), crate::Config::new().max_memory(512 << 20));
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
}

#[test]
fn values_that_cannot_be_are_refused() {
    for args in [
        ["--port", "70000"],
        ["--port", "65534"],
        ["--port", "-1"],
        ["--http", "5580"],
        ["--http", "nowhere"],
        ["--high-water-mark", "0"],
        ["--max-frame", "0"],
        // A worker could not read past a larger batch.
        ["--max-frame", "4194305"],
        ["--settle", "-1"],
        ["--shutdown-timeout", "-1"],
        ["--shutdown-timeout", "nan"],
    ] {
        let [flag, value] = args;
        let parsed = Flags::try_parse_from(["zibrato-broker", &format!("{flag}={value}")]);
        assert!(parsed.is_err(), "{flag} {value}");
    }
}

#[test]
fn addresses_are_read() {
    assert_eq!(http("off"), Ok(Http::Off));
    assert_eq!(http("127.0.0.1:80"), Ok(Http::At("127.0.0.1:80".parse().unwrap())));
    assert!(matches!(http("localhost:80"), Ok(Http::At(_))));
}
