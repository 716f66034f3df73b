//! Attributes neither trigger nor silence lints.
//!
//! Functions of many shapes are compiled plain and annotated, with every lint of rustc and Clippy
//! enabled, and the findings are compared. Then they are compiled again with each finding expected
//! by `#[expect]` on its function.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail so")]

mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use samples::{ALL, EDITIONS, MODES, Sample};

/// A finding of a lint: its name, line and column.
type Finding = (String, u64, u64);

/// The findings of each sample.
type Findings = BTreeMap<String, BTreeSet<Finding>>;

#[test]
fn rustc_finds_the_same_with_and_without_attributes() {
    let samples = every_sample();
    let findings = Workspace::new("rustc", &samples).findings("check");
    compare(&samples, &findings, "plain_2021", &|sample, line| {
        sample.has_closures && samples::is_hidden_by_a_closure(sample.source.lines(), line)
    });
}

#[test]
fn clippy_finds_the_same_with_and_without_attributes() {
    let samples = every_sample();
    let findings = Workspace::new("clippy", &samples).findings("clippy");
    let exact = |_: &Sample, _: usize| false;
    compare(&samples, &findings, "plain_2021", &exact);

    let lints = expected(&findings["plain_2021"]);
    let samples: Vec<_> = [("plain", ""), ("annotated", ALL)]
        .map(|(name, attributes)| Sample::new(name, attributes, "", "2021").expecting(&lints))
        .into();
    let findings = Workspace::new("expect", &samples).findings("clippy");
    compare(&samples, &findings, "plain_2021", &exact);
}

/// The plain samples, each mode in one edition, and all modes together in every edition.
fn every_sample() -> Vec<Sample> {
    let mut samples = Vec::new();
    for edition in EDITIONS {
        samples.push(Sample::new("plain", "", "", edition));
        samples.push(Sample::new("all", ALL, "", edition));
    }
    for (name, attributes) in MODES {
        samples.push(Sample::new(name, attributes, "", "2021"));
        // If no function of a block matches the mode, the sample is wrong.
        if attributes.starts_with('#') {
            samples.push(Sample::new(&format!("impl_{name}"), "", attributes, "2021"));
        }
    }
    samples
}

/// The lints to expect, by line.
fn expected(findings: &BTreeSet<Finding>) -> BTreeMap<usize, BTreeSet<&str>> {
    let mut lints: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for (lint, line, _) in findings {
        lints.entry(usize::try_from(*line).unwrap()).or_default().insert(lint);
    }
    lints
}

/// Fails with all differences between each sample and the plain one of its edition.
fn compare(
    samples: &[Sample],
    findings: &Findings,
    rich: &str,
    is_excused: &dyn Fn(&Sample, usize) -> bool,
) {
    assert!(findings[rich].len() > 200, "the lints found only {:?}", findings[rich]);
    let mut differences = Vec::new();
    for sample in samples {
        let plain = &findings[&format!("plain_{}", sample.edition)];
        let found = at_the_function(sample, &findings[&sample.name]);
        let mut tell = |what: &str, (lint, line, _): &Finding| {
            let at = usize::try_from(*line).unwrap();
            let code = sample.source.lines().nth(at - 1).unwrap_or_default();
            differences.push(format!("{} {what} {lint} in line {line}: {code}", sample.name));
        };
        found.difference(plain).for_each(|finding| tell("adds", finding));
        let hidden = plain.difference(&found);
        hidden
            .filter(|(_, line, _)| !is_excused(sample, usize::try_from(*line).unwrap()))
            .for_each(|finding| tell("hides", finding));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The findings. A finding at the attributes of a function is moved to the function: an attribute
/// may write the return type of an `async fn`, and rustc then reports `missing_docs` there.
fn at_the_function(sample: &Sample, found: &BTreeSet<Finding>) -> BTreeSet<Finding> {
    let lines: Vec<_> = sample.source.lines().collect();
    let is_mark = |line: u64| {
        let line = usize::try_from(line).unwrap();
        lines.get(line - 1).is_some_and(|line| line.contains("//@ "))
    };
    let at = |finding: &Finding| match finding {
        (lint, line, _) if lint == "missing_docs" && is_mark(*line) => (lint.clone(), line + 1, 1),
        other => other.clone(),
    };
    found.iter().map(at).collect()
}

/// A cargo workspace with a package for each edition; the samples are its examples.
struct Workspace {
    folder: PathBuf,
}

impl Workspace {
    fn new(name: &str, samples: &[Sample]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        // Cargo finds the configuration with the location of libzmq there, like trybuild.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lints").join(name);
        // Packages with the same name would be confused, even in different workspaces.
        let workspace = format!("[workspace]\nresolver = \"2\"\nmembers = [\"{name}_*\"]\n");
        write(&folder.join("Cargo.toml"), &workspace);
        let lock = std::fs::read_to_string(root.join("Cargo.lock")).unwrap();
        write(&folder.join("Cargo.lock"), &lock);
        for edition in EDITIONS {
            let package = folder.join(format!("{name}_{edition}"));
            let mut manifest = format!(
                "[package]\nname = \"{name}_{edition}\"\nversion = \"0.0.0\"\n\
                 edition = \"{edition}\"\nautoexamples = false\n\
                 [dependencies]\nzibrato = {{ path = {:?} }}\n",
                root.join("zibrato")
            );
            write(&package.join("src/lib.rs"), "");
            for Sample { name, source, .. } in samples.iter().filter(|it| it.edition == edition) {
                let path = format!("examples/{name}.rs");
                write(&package.join(&path), source);
                manifest.push_str(&format!(
                    "[[example]]\nname = \"{name}\"\npath = \"{path}\"\ncrate-type = [\"lib\"]\n"
                ));
            }
            write(&package.join("Cargo.toml"), &manifest);
        }
        Self { folder }
    }

    /// Runs the cargo command, and returns its findings. There must be no errors.
    fn findings(&self, command: &str) -> Findings {
        let output = Command::new(env!("CARGO"))
            .args([command, "--workspace", "--examples", "--offline", "--message-format=json"])
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", self.folder.join("../target"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let mut findings = Findings::new();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            if line["target"]["kind"][0] != "example" {
                continue;
            }
            let sample = line["target"]["name"].as_str().unwrap();
            let found = findings.entry(sample.to_owned()).or_default();
            let message = &line["message"];
            assert_ne!(message["level"], "error", "{sample}: {}", message["rendered"]);
            for span in message["spans"].as_array().into_iter().flatten() {
                let lint = message["code"]["code"].as_str().unwrap_or_default().to_owned();
                let at = ["line_start", "column_start"].map(|end| span[end].as_u64().unwrap());
                if span["is_primary"] == true {
                    found.insert((lint, at[0], at[1]));
                }
            }
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo {command} failed: {errors}");
        findings
    }
}

/// Writes the file if its content has changed, so that unchanged files are not compiled again.
fn write(path: &Path, text: &str) {
    if std::fs::read_to_string(path).is_ok_and(|there| there == text) {
        return;
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
