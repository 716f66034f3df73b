//! `man` and `completions`: the manual page and the completion scripts of each program.

use std::process::Command;
use zibrato_tests::{Running, program, repository};

/// Every daemon and worker.
fn programs() -> Vec<String> {
    let workers = std::fs::read_dir(repository().join("workers/src/bin")).unwrap();
    let workers = workers.map(|entry| entry.unwrap().path());
    let names = workers.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    names.chain(["zibrato-broker".to_owned()]).collect()
}

/// The output of a program, which must succeed.
fn printed(name: &str, args: &[&str]) -> String {
    // Invalid settings of this machine make no difference.
    let variable = format!("{}_PORT", name.replace('-', "_").to_uppercase());
    let (status, output, log) =
        Running::run(Command::new(program(name)).args(args).env(variable, "none"));
    assert!(status.success() && log.is_empty(), "{name} {args:?}: {status} {log}");
    output
}

/// The long flags of a program and its subcommands, from its help texts.
pub(super) fn flags(name: &str) -> Vec<String> {
    let mut flags = Vec::new();
    let mut paths: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(path) = paths.pop() {
        let mut args: Vec<_> = path.iter().map(String::as_str).collect();
        args.push("--help");
        let (status, help, log) = Running::run(Command::new(program(name)).args(&args));
        assert!(status.success(), "{name} {args:?}: {log}");
        let lines = || help.lines().map(str::trim_start);
        flags.extend(lines().filter(|line| line.starts_with('-')).filter_map(|line| {
            let name = line.split([' ', ',']).find(|word| word.starts_with("--"))?;
            Some(name.to_owned())
        }));
        let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        let commands = commands.take_while(|line| line.starts_with("  "));
        let names = commands.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        paths.extend(
            names
                .filter(|name| !name.is_empty() && *name != "help")
                .map(|name| [&path[..], &[name.to_owned()]].concat()),
        );
    }
    flags.sort();
    flags.dedup();
    flags
}

#[test]
fn flags_of_subcommands_are_found() {
    let flags = flags("zibrato-broker");
    for flag in ["--host", "--after", "--to", "--out"] {
        assert!(flags.iter().any(|one| one == flag), "{flag} is not in {flags:?}");
    }
}

#[test]
fn the_manual_page_is_valid_roff_and_names_every_flag_and_variable() {
    for name in programs() {
        let page = printed(&name, &["man"]);
        let mut groff = Command::new("groff");
        groff.args(["-man", "-Kutf8", "-ww", "-z"]);
        let (status, _, warnings) = Running::run_with(&mut groff, &page);
        assert!(status.success() && warnings.is_empty(), "{name}: {status} {warnings}");
        let plain = page.replace("\\-", "-");
        for flag in flags(&name) {
            assert!(plain.contains(&flag), "{name}: its page lacks {flag}");
        }
        let variable = format!("{}_CONFIG", name.replace('-', "_").to_uppercase());
        assert!(plain.contains(&variable), "{name}: its page lacks {variable}");
    }
}

#[test]
fn completions_are_accepted_by_bash_and_name_every_flag() {
    for name in programs() {
        let script = printed(&name, &["completions", "bash"]);
        let (status, _, warnings) =
            Running::run_with(Command::new("bash").args(["-n", "/dev/stdin"]), &script);
        assert!(status.success() && warnings.is_empty(), "{name}: {status} {warnings}");
        for flag in flags(&name) {
            assert!(script.contains(&flag), "{name}: its completions lack {flag}");
        }
        for shell in ["zsh", "fish", "elvish", "powershell"] {
            assert!(printed(&name, &["completions", shell]).contains(&name), "{name} {shell}");
        }
    }
}

#[test]
fn a_program_that_cannot_write_its_page_exits_with_74() {
    for args in [&["man"][..], &["completions", "bash"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(program("zibrato-tail"));
        let output = command.args(args).stdout(full).output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(74), "{args:?}: {log}");
        assert!(log.contains("stdout cannot be written"), "{args:?}: {log}");
    }
}
