//! Errors about wrong values of flags: they say what is expected, and where the value was given.

use std::process::Command;
use zibrato_tests::{BACKENDS, Running, program};

/// The placeholders of flags that take a number.
const NUMBERS: [&str; 11] = [
    "<PORT>",
    "<SECONDS>",
    "<NUMBER>",
    "<TIMES>",
    "<BYTES>",
    "<MESSAGES>",
    "<MIB>",
    "<HOURS>",
    "<GIB>",
    "<PERCENT>",
    "<OFFSET>",
];

#[test]
fn an_invalid_number_gets_an_error_with_the_expected_values() {
    let backends = BACKENDS.map(|backend| (backend.program, &[][..], 8));
    let others = [
        ("zibrato-broker", &[][..], 9),
        ("zibrato-broker", &["journal", "dump"], 1),
        ("zibrato-tail", &[], 1),
    ];
    for (name, command, fewest) in others.into_iter().chain(backends) {
        let help = Command::new(program(name)).args(command).arg("--help").output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let words: Vec<_> = help.split_whitespace().collect();
        let flags = words.windows(2).filter(|pair| NUMBERS.contains(&pair[1]));
        let flags: Vec<_> =
            flags.map(|pair| pair[0]).filter(|word| word.starts_with("--")).collect();
        assert!(flags.len() >= fewest, "{name}: {flags:?}");
        for flag in flags {
            let mut wrong = Command::new(program(name));
            let (status, _, said) = Running::run(wrong.args(command).args([flag, "x"]));
            assert_eq!(status.code(), Some(64), "{name} {flag}: {said}");
            assert!(
                said.contains("expected a ") && said.contains("invalid value 'x'"),
                "{name} {flag}: {said}"
            );
        }
    }
}

#[test]
fn an_invalid_secret_is_named_by_its_origin_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("wrong"), "hunter2 \u{1}\n").unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    let user = ["--username", "a"];
    let in_file = ["--apitoken-file", "wrong"];
    for (name, args, variables, part) in [
        (
            "librato",
            [&user[..], &in_file].concat(),
            None,
            "zibrato-librato: --apitoken-file wrong: contains",
        ),
        (
            "librato",
            user.to_vec(),
            Some(("ZIBRATO_LIBRATO_APITOKEN_FILE", "empty")),
            "is empty (--apit",
        ),
        (
            "librato",
            user.to_vec(),
            Some(("LIBRATO_TOKEN", "hunter2 b")),
            "zibrato-librato: LIBRATO_TOKEN: contains",
        ),
        (
            "librato",
            user.to_vec(),
            Some(("ZIBRATO_LIBRATO_APITOKEN", "hunter2 b")),
            "--apitoken: contains a space or another character that a Librato token cannot have \
             (--apitoken is set by ZIBR",
        ),
        (
            "slack",
            vec!["--webhook-url-file", "wrong"],
            None,
            "zibrato-slack: --webhook-url-file wrong: is not",
        ),
        (
            "slack",
            vec!["--channel", "a", "--token-file", "wrong"],
            None,
            "--token-file wrong: contains",
        ),
    ] {
        let mut command = Command::new(program(&format!("zibrato-{name}")));
        command.args(&args).args(["--dead-letters", "off"]).envs(variables);
        let (status, _, log) = Running::run(command.current_dir(folder.path()));
        assert_eq!((status.code(), log.lines().count()), (Some(78), 1), "{args:?}: {log}");
        assert!(log.contains(part) && !log.contains("hunter2"), "{args:?}: {log}");
    }
}
