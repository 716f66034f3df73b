//! Each backend has one row in `tests/src/backends.rs`; the example files follow from the rows.

use super::{none, rewrites};
use toml::Table;
use zibrato_tests::{BACKENDS, repository};

/// The worker program that has no backend.
pub(crate) const TAIL: &str = "zibrato-tail";

const SUPERVISORD: &str = "examples/supervisord/zibrato.conf";

/// Each worker in `workers/src/bin`.
pub(crate) fn workers() -> Vec<String> {
    let programs = std::fs::read_dir(repository().join("workers/src/bin")).unwrap();
    let paths = programs.map(|entry| entry.unwrap().path());
    let mut names: Vec<_> =
        paths.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn each_worker_program_has_a_row_a_feature_and_a_configuration_file() {
    let mut programs = workers();
    let manifest = std::fs::read_to_string(repository().join("workers/Cargo.toml")).unwrap();
    let manifest: Table = manifest.parse().unwrap();
    let mut problems = Vec::new();
    for program in &programs {
        let name = program.trim_start_matches("zibrato-");
        let bins = manifest["bin"].as_array().unwrap();
        let is_optional = bins.iter().any(|bin| {
            bin["name"].as_str() == Some(program)
                && bin["required-features"].as_array().unwrap()[..] == [name.into()]
        });
        if !is_optional {
            problems.push(format!("workers/Cargo.toml: {program} has no feature {name}"));
        }
        let config = format!("examples/config/{name}.toml");
        if program != TAIL && !repository().join(&config).is_file() {
            problems.push(format!("{program} has no example of its configuration, {config}"));
        }
    }
    none(problems);
    programs.retain(|program| program != TAIL);
    assert_eq!(programs, BACKENDS.map(|backend| backend.program), "tests/src/backends.rs");
}

#[test]
fn supervisord_runs_each_worker() {
    let path = repository().join(SUPERVISORD);
    let before = std::fs::read_to_string(&path).unwrap();
    let (head, _) = before.split_once("[group:zibrato-workers]").expect(SUPERVISORD);
    let programs = BACKENDS.map(|backend| backend.program);
    let mut text =
        format!("{head}[group:zibrato-workers]\nprograms={}\npriority=300\n", programs.join(","));
    for program in programs {
        text += &section(program);
    }
    if rewrites() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    assert!(
        before == text,
        "{SUPERVISORD} differs from the rows of tests/src/backends.rs; \
         ZIBRATO_TIDY=write cargo test -p zibrato-tests --test tidy rewrites it"
    );
}

fn section(program: &str) -> String {
    let name = program.trim_start_matches("zibrato-");
    format!(
        "
[program:{program}]
command={program} --config /etc/zibrato/{name}.toml
user=zibrato
; Folder of dead letters: {program} deadletter list
environment=STATE_DIRECTORY=\"/var/lib/zibrato/{name}\"
autorestart=unexpected
; Do not restart with an invalid command line (64) or configuration (78). exitcodes has no effect
; within startsecs.
exitcodes=64,78
startsecs=0
stopsignal=QUIT
; Longer than --shutdown-timeout (10 s by default) plus one request.
stopwaitsecs=30
stderr_logfile=/var/log/zibrato/{name}.log
stderr_logfile_maxbytes=10MB
stderr_logfile_backups=5
"
    )
}
