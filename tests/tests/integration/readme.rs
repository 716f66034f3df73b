//! The snippets of README.md and docs/annotate.md work unchanged: a newcomer's program is built
//! from them, and its measurements arrive.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use zibrato_tests::{Broker, DEADLINE, Running, program, repository, wait_until};

/// Maximum time to build the program and its dependencies.
const BUILD: Duration = Duration::from_secs(170);

/// A block of code in a document.
struct Block {
    language: String,
    text: String,
}

fn blocks(document: &str) -> Vec<Block> {
    let text = std::fs::read_to_string(repository().join(document)).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some(Block { language: language.to_owned(), text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => writeln!(block.text, "{line}").unwrap(),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{document} has a block that does not end");
    blocks
}

fn of_language(document: &str, language: &str) -> Vec<String> {
    let blocks = blocks(document).into_iter().filter(|block| block.language == language);
    blocks.map(|block| block.text).collect()
}

/// A crate next to a checkout that is called `zibrato`, created as the README says. It is kept, so
/// that only changes are built again.
struct Newcomer {
    folder: PathBuf,
    target: PathBuf,
}

impl Newcomer {
    fn new() -> Self {
        let beside = program("zibrato-broker");
        let target = beside.ancestors().nth(2).unwrap().join("tests/readme");
        let folder = target.join("newcomer");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        std::fs::create_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(repository(), folder.join("zibrato")).unwrap();
        Self { folder: folder.join("hello"), target }
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Builds it and returns the program.
    fn build(&self) -> PathBuf {
        let lock = std::fs::read_to_string(repository().join("Cargo.lock")).unwrap();
        self.write("Cargo.lock", &lock);
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(&self.folder).env("CARGO_TARGET_DIR", &self.target);
        command.arg("--config").arg(repository().join(".cargo/system-libzmq.toml"));
        command.args(["--config", "profile.dev.debug=0", "--offline", "build", "--all-targets"]);
        let mut running = Running::start(&mut command);
        let status = running.ended_within(BUILD);
        let log = running.log();
        assert!(status.success() && !log.contains("warning"), "{log}");
        self.target.join("debug/hello")
    }
}

#[test]
fn a_program_built_from_the_readme_delivers_its_measurements() {
    let (mut broker, newcomer) = (Broker::start(), Newcomer::new());
    let dependencies = of_language("README.md", "toml");
    // The files of `cargo new`, as a separate workspace, because it is in a folder of another one.
    let package = "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    newcomer.write("Cargo.toml", &format!("{package}\n{}\n[workspace]\n", dependencies[0]));

    // Complete programs are run or become examples; parts become modules.
    let (mut programs, mut modules) = (0, String::new());
    for document in ["README.md", "docs/annotate.md"] {
        for (at, text) in of_language(document, "rust").into_iter().enumerate() {
            let name = document.trim_start_matches("docs/").trim_end_matches(".md").to_lowercase();
            let name = format!("{name}_{at}");
            if !text.contains("fn main()") {
                newcomer.write(&format!("src/{name}.rs"), &text);
                writeln!(modules, "pub mod {name};").unwrap();
            } else if document == "README.md" {
                programs += 1;
                // Tests have their own ports.
                assert!(text.contains(".port(5550)"), "{text}");
                let text = text.replace(".port(5550)", &format!(".port({})", broker.port()));
                newcomer.write("src/main.rs", &text);
            } else {
                newcomer.write(&format!("examples/{name}.rs"), &text);
            }
        }
    }
    assert_eq!(programs, 1, "the README has one program to run");
    newcomer.write("src/lib.rs", &modules);
    let hello = newcomer.build();

    let tail = broker.worker("zibrato-tail", &["--levels", "*"]);
    let (status, output, log) = Running::run(&mut Command::new(hello));
    assert!(status.success(), "{log}");
    assert!(output.contains("Stats { recorded: 310, delivered: 310,"), "{output}");
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    assert!(readme.contains("`Stats { recorded: 310, delivered: 310, … }`"));
    for name in ["mail.send", "mail.bounced", "mail.bytes", "mail.queued"] {
        wait_until(DEADLINE, name, || tail.output().contains(name));
    }
    assert!(!broker.running().has_ended());
}

/// The documents for users and operators.
const DOCUMENTS: [&str; 9] = [
    "README.md",
    "SECURITY.md",
    "docs/annotate.md",
    "docs/flags.md",
    "docs/operations.md",
    "docs/performance.md",
    "docs/testing.md",
    "docs/recipes.md",
    "examples/README.md",
];

#[test]
fn commands_in_the_documents_are_valid_shell_and_name_programs_and_flags_that_exist() {
    let mut seen = 0;
    for document in DOCUMENTS {
        for text in of_language(document, "sh") {
            let (status, _, log) =
                Running::run_with(Command::new("bash").args(["-n", "/dev/stdin"]), &text);
            assert!(status.success(), "{document}: {log}\n{text}");
            for command in text.lines().flat_map(|line| line.split(['&', ';', '|', '#'])) {
                let words = command.split_whitespace();
                let mut words = words.map(|word| word.trim_start_matches("target/release/"));
                let Some(name) = words.find(|word| is_daemon(word)) else { continue };
                let known = super::manual::flags(name);
                let words = command.split_once(name).unwrap().1.split_whitespace();
                let flags = words.filter_map(|word| word.split('=').next());
                for flag in flags.filter(|word| word.starts_with("--")) {
                    assert!(known.iter().any(|one| one == flag), "{document}: {name} {flag}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 20, "only {seen} flags were found");
}

/// Whether it is one of the programs, and not a folder or unit with this name.
fn is_daemon(name: &str) -> bool {
    name == "zibrato-broker" || repository().join(format!("workers/src/bin/{name}.rs")).is_file()
}
