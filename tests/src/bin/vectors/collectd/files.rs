//! The files of CollectD's types and users: kinds `collectd_types` and `collectd_auth`.

use crate::compare::{Differences, Outcome};
use crate::json::texts;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zibrato_broker::IntakeError;
use zibrato_broker::fuzzing::{CollectdPackets, Source, signed};

/// A types.db for cases that are not about types.
const TYPES: &str = "gauge value:GAUGE:U:U\n";

/// A gauge of the host `h` in a datagram: `p.gauge` = 1.
const GAUGE: [&[u8]; 5] = [
    b"\0\0\0\x06h\0",
    b"\0\x01\0\x0c\0\0\0\0\x4e\xbc\x68\x59",
    b"\0\x02\0\x06p\0",
    b"\0\x04\0\x0agauge\0",
    b"\0\x06\0\x0f\0\x01\x01\0\0\0\0\0\0\xf0\x3f",
];

/// The time of the gauge, in Unix milliseconds.
const GAUGE_MS: u64 = 0x4ebc_6859 * 1_000;

/// The files of a case.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// The flags for a configuration, whose files are written.
    pub(super) fn flags(&self, config: &Value) -> anyhow::Result<Vec<String>> {
        let mut flags = Vec::new();
        let mut files = texts(&config["types_db"]);
        if files.is_empty() {
            files.push(TYPES.to_owned());
        }
        for (at, text) in files.iter().enumerate() {
            let path = self.write(&format!("types-{at}.db"), text)?;
            flags.push(format!("--collectd-types={}", path.display()));
        }
        if let Some(text) = config["auth_file"].as_str() {
            let path = self.write("auth", text)?;
            flags.push(format!("--collectd-auth-file={}", path.display()));
        }
        // bucky takes anything else as 0.
        let level = match &config["collectd_security_level"] {
            Value::Number(level) if level.as_f64() == Some(1.0) => Some("sign"),
            Value::Number(level) if level.as_f64() == Some(2.0) => Some("encrypt"),
            Value::String(word) if ["sign", "Sign", "SIGN"].contains(&&**word) => Some("sign"),
            Value::String(word) if ["encrypt", "Encrypt", "ENCRYPT"].contains(&&**word) => {
                Some("encrypt")
            }
            _ => None,
        };
        flags.extend(level.map(|level| format!("--collectd-security-level={level}")));
        if config["collectd_counter_eq_derive"] == true {
            flags.push("--collectd-counter-eq-derive".to_owned());
        }
        Ok(flags)
    }
}

/// The intake, unless both programs refuse the configuration.
pub(super) fn opened(
    case: &Value,
    opened: Result<CollectdPackets, IntakeError>,
    differences: &mut Differences,
) -> anyhow::Result<Option<CollectdPackets>> {
    let raised = case["expect"].get("init_raised");
    match (opened, raised) {
        (Ok(packets), None) => Ok(Some(packets)),
        (Ok(packets), Some(_)) if case["kind"] != "collectd" => Ok(Some(packets)),
        (Ok(_), Some(raised)) => {
            differences.fail(format!("bucky ends with {raised}, and Zibrato starts"));
            Ok(None)
        }
        (Err(_), Some(_)) => Ok(None),
        (Err(error), None) => Err(anyhow::anyhow!(error)),
    }
}

/// Runs a case about users: each of them can sign with the recorded password, and nobody else can.
pub(crate) fn check_auth(case: &Value) -> anyhow::Result<Outcome> {
    let folder = Folder::new()?;
    let mut differences = Differences::default();
    let file = case["input"]["auth_file"].as_str().context("the field `input.auth_file`")?;
    let mut config = case["config"].clone();
    config["auth_file"] = json!(file);
    let level = &config["collectd_security_level"];
    if let Some(recorded) = case["expect"].get("sec_level").filter(|recorded| *recorded != level) {
        differences.fail(format!("the level {level} is recorded as {recorded}"));
    }
    config["collectd_security_level"] = json!(1);
    let opened_now = CollectdPackets::new(&folder.flags(&config)?, None);
    let Some(mut packets) = opened(case, opened_now, &mut differences)? else {
        return Ok(differences.outcome());
    };
    let expected: BTreeMap<String, String> = match case["expect"].get("auth_db") {
        Some(users) => serde_json::from_value(users.clone())?,
        // It ended bucky.
        None => {
            differences
                .by_design("a line of the auth file that cannot be read is skipped and logged");
            users(file)
        }
    };
    let parts = GAUGE.concat();
    let mut accepts = |user: &str, password: &str| {
        !packets.take(&signed(user.as_bytes(), password.as_bytes(), &parts), GAUGE_MS).is_empty()
    };
    for (user, password) in &expected {
        if !accepts(user, password) {
            differences.fail(format!("{user} cannot sign with {password}"));
        }
    }
    for (user, password) in candidates(file) {
        if expected.get(&user) != Some(&password) && accepts(&user, &password) {
            differences.fail(format!("{user} can sign with {password}"));
        }
    }
    Ok(differences.outcome())
}

/// The users in the lines with a colon.
fn users(file: &str) -> BTreeMap<String, String> {
    let entries = file.lines().filter(|line| !line.trim().starts_with('#'));
    let entries = entries.filter_map(|line| line.split_once(':'));
    let entries = entries.map(|(user, password)| (user.trim().into(), password.trim().into()));
    entries
        .filter(|(user, password): &(String, String)| !user.is_empty() && !password.is_empty())
        .collect()
}

/// What a wrong reader may take for a user and a password.
fn candidates(file: &str) -> Vec<(String, String)> {
    let mut all = vec![("nobody".to_owned(), "1".to_owned())];
    for line in file.lines() {
        for separator in [':', ' '] {
            for (at, _) in line.match_indices(separator) {
                let (user, password) = line.split_at(at);
                let password = password.strip_prefix(separator).unwrap_or_default().trim();
                let user = user.trim();
                all.push((user.to_owned(), password.to_owned()));
                all.push((user.trim_start_matches(['#', ' ']).to_owned(), password.to_owned()));
            }
        }
    }
    all.retain(|(user, password)| !user.is_empty() && !password.is_empty());
    all
}

/// Runs a case about types.
pub(crate) fn check_types(case: &Value) -> anyhow::Result<Outcome> {
    let folder = Folder::new()?;
    let mut differences = Differences::default();
    let files = texts(&case["input"]["types_db"]);
    anyhow::ensure!(
        !files.is_empty(),
        "the field `input.types_db` is not a text or a list of texts"
    );
    // The broker starts only if there is a type.
    let mut all = files.clone();
    all.push("vectors_only value:GAUGE:U:U\n".to_owned());
    let flags = folder.flags(&json!({ "types_db": all }))?;
    let opened_now = CollectdPackets::new(&flags, None);
    let Some(packets) = opened(case, opened_now, &mut differences)? else {
        return Ok(differences.outcome());
    };
    let mut found = packets.types();
    found.remove("vectors_only");
    let expected = match case["expect"].get("types") {
        Some(types) => recorded_types(types, &case["expect"]["ranges"])?,
        None => {
            differences.by_design(
                "a line of types.db is read as CollectD reads it, or skipped and logged",
            );
            files.iter().flat_map(|file| file.lines()).filter_map(type_of).collect()
        }
    };
    if found != expected {
        differences.fail(format!("recorded {expected:?}, found {found:?}"));
    }
    Ok(differences.outcome())
}

fn recorded_types(types: &Value, ranges: &Value) -> anyhow::Result<BTreeMap<String, Vec<Source>>> {
    let mut all = BTreeMap::new();
    for (name, sources) in types.as_object().context("the field `expect.types`")? {
        let source = |source: &Value| {
            let name_of = source[0].as_str()?;
            let kind = u8::try_from(source[1].as_u64()?).ok()?;
            let range = &ranges[name][name_of];
            let min = range[0].as_f64().unwrap_or(f64::NEG_INFINITY);
            Some((name_of.to_owned(), kind, min, range[1].as_f64().unwrap_or(f64::INFINITY)))
        };
        let sources = sources.as_array().into_iter().flatten().map(source);
        let sources = sources.collect::<Option<_>>().context("a data source of `expect.types`")?;
        all.insert(name.clone(), sources);
    }
    Ok(all)
}

/// The type in a line, as CollectD reads it: blanks and commas separate sources, and case does not
/// matter.
fn type_of(line: &str) -> Option<(String, Vec<Source>)> {
    let mut words = line.split([' ', '\t', ',']).filter(|word| !word.is_empty());
    let name = words.next().filter(|name| !name.starts_with('#'))?;
    let source = |word: &str| {
        let fields: Vec<_> = word.split(':').collect();
        let [name, kind, min, max] = fields[..] else { return None };
        let kinds = ["COUNTER", "GAUGE", "DERIVE", "ABSOLUTE"];
        let kind = kinds.iter().position(|word| word.eq_ignore_ascii_case(kind))?;
        let limit = |text: &str, none| match text {
            "U" | "u" => Some(none),
            _ => text.parse().ok(),
        };
        let (min, max) = (limit(min, f64::NEG_INFINITY)?, limit(max, f64::INFINITY)?);
        Some((name.to_owned(), u8::try_from(kind).ok()?, min, max))
    };
    let sources: Vec<_> = words.map(source).collect::<Option<_>>()?;
    (!sources.is_empty()).then(|| (name.to_owned(), sources))
}
