//! The command line and the configuration file of bucky, and the settings that they give: kind
//! `cli`. `zibrato-broker bucky-config` translates the file, and flags take the place of options.

mod options;

use crate::bucky::Translated;
use crate::compare::{Differences, Outcome};
use crate::json::{list, texts};
use anyhow::{Context as _, bail};
use options::Options;
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use zibrato::daemon::check_configuration;
use zibrato_broker::Flags;
use zibrato_tests::program;

/// The exit code for errors in a command line.
const USAGE: i32 = 64;

/// Runs one case.
pub(crate) fn check(case: &Value) -> anyhow::Result<Outcome> {
    let mut differences = Differences::default();
    let args = texts(&case["input"]["args"]);
    let code = case["expect"].get("exit_code").and_then(Value::as_i64);
    let options = match Options::parse(&args) {
        Ok(options) => options,
        Err(wrong) => {
            usage_error(&wrong, code, &mut differences)?;
            return Ok(differences.outcome());
        }
    };
    let has_file = case["input"]["config_file"].is_string();
    if options.files.len() + usize::from(has_file) > 1 {
        let wrong = ["bucky-config", "one", "two"].map(str::to_owned);
        usage_error(&wrong, code, &mut differences)?;
        return Ok(differences.outcome());
    }
    if options.has("--help") || options.has("--version") {
        let flag = if options.has("--help") { "--help" } else { "--version" };
        if code != Some(0) || broker(&[flag])? != 0 {
            differences.fail(format!("{flag} does not end both programs with 0"));
        }
        return Ok(differences.outcome());
    }
    if let [file] = &*options.files {
        if code.is_none_or(|code| code == 0) || broker(&["bucky-config", file])? == 0 {
            differences.fail(format!("{file} can be read"));
        }
        return Ok(differences.outcome());
    }
    let file = case["input"]["config_file"].as_str().unwrap_or_default();
    let translated = match Translated::new(file) {
        Err(error) if error.to_string().contains("no key of bucky is assigned") => {
            differences.by_design("a file without a key of bucky is refused");
            return Ok(differences.outcome());
        }
        translated => translated?,
    };
    let settings = Settings { file, translated, options };
    if let Some(code) = code {
        settings.end(code, &mut differences)?;
        return Ok(differences.outcome());
    }
    settings.accepted(&mut differences)?;
    let shown: Vec<_> = list(&case["input"], "show")?.iter().filter_map(Value::as_str).collect();
    let expect = case["expect"].as_object().context("the field `expect` is not a map")?;
    for key in shown {
        let Some(recorded) = expect.get(key) else { bail!("there is no result for {key}") };
        settings.compare(key, recorded, &mut differences)?;
    }
    if let Some(level) = expect.get("_handler_level") {
        settings.compare("log_level", level, &mut differences)?;
    }
    Ok(differences.outcome())
}

/// The flag of a key with the same words.
fn flag(key: &str) -> String {
    key.replace('_', "-")
}

/// The exit code of `zibrato-broker`.
fn broker(args: &[&str]) -> anyhow::Result<i32> {
    let mut command = Command::new(program("zibrato-broker"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status()?.code().context("a signal ended zibrato-broker")
}

/// Both programs refuse a command line.
fn usage_error(
    wrong: &[String],
    code: Option<i64>,
    differences: &mut Differences,
) -> anyhow::Result<()> {
    let wrong: Vec<_> = wrong.iter().map(String::as_str).collect();
    let ours = broker(&wrong)?;
    if code == Some(2) && ours == USAGE {
        differences.by_design("the exit code for an error in the command line is 64");
    } else {
        differences
            .fail(format!("bucky ends with {code:?}, and zibrato-broker {wrong:?} with {ours}"));
    }
    Ok(())
}

/// What a configuration and a command line of bucky become.
struct Settings<'a> {
    file: &'a str,
    translated: Translated,
    options: Options,
}

/// The protocols, with the ports of bucky.
const PROTOCOLS: [&str; 3] = ["collectd", "metricsd", "statsd"];

impl Settings<'_> {
    /// The address of a protocol, or of Carbon; `None` if it is off.
    fn address(&self, protocol: &str) -> Option<(String, String)> {
        let given = match protocol {
            "graphite" => {
                let hosts = self.translated.texts("carbon-hosts", "carbon");
                [self.translated.texts("carbon-statsd", "carbon"), hosts].concat()
            }
            _ => self.translated.texts("broker", protocol),
        };
        if self.options.has(&format!("--disable-{protocol}")) {
            return None;
        }
        let (host, port) = given.first()?.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let option = |word: &str| self.options.value(&format!("--{protocol}-{word}"));
        let (host, port) = (option("ip").unwrap_or(host), option("port").unwrap_or(port));
        Some((host.to_owned(), port.to_owned()))
    }

    fn log_level(&self) -> String {
        let of_file = || self.translated.texts("broker", "log-level").first().cloned();
        self.options.log_level().or_else(of_file).unwrap_or_else(|| "info".to_owned())
    }

    /// The level is one of Zibrato.
    fn has_level(&self) -> anyhow::Result<bool> {
        let level = self.log_level();
        // It fails before it reads the rules, which are empty.
        Ok(broker(&["--log-level", &level, "rules", "test", "/dev/null"])? == 0)
    }

    /// Checks that `zibrato-broker` accepts the settings.
    fn accepted(&self, differences: &mut Differences) -> anyhow::Result<()> {
        if !self.has_level()? {
            differences.fail(format!("zibrato-broker refuses the level {}", self.log_level()));
        }
        for protocol in PROTOCOLS {
            let Some((host, port)) = self.address(protocol) else { continue };
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            let line = format!("{protocol} = {}\n", json!(format!("{host}:{port}")));
            if let Err(why) = check_configuration::<Flags>(&line) {
                differences.fail(format!("zibrato-broker refuses {line}: {why}"));
            }
        }
        Ok(())
    }

    /// The configuration ended bucky.
    fn end(&self, code: i64, differences: &mut Differences) -> anyhow::Result<()> {
        if code != 1 {
            differences.fail(format!("bucky ends with {code}, and not with 1"));
        }
        if !self.has_level()? {
            return Ok(());
        }
        let is_word = |level: &str| level.chars().all(char::is_lowercase);
        if self.options.value("--log-level").is_some_and(is_word) {
            differences.by_design("levels are words in lower case");
        } else if !self.translated.notes().is_empty() {
            differences.by_design(READ);
        } else {
            differences.fail(format!("bucky ends with {code}, and Zibrato accepts it"));
        }
        Ok(())
    }

    /// Compares a setting.
    fn compare(
        &self,
        key: &str,
        recorded: &Value,
        differences: &mut Differences,
    ) -> anyhow::Result<()> {
        let of_broker = |key: &str| self.translated.texts("broker", key);
        let found = match key.split_once('_') {
            Some((protocol, what @ ("enabled" | "ip" | "port")))
                if PROTOCOLS.contains(&protocol) || protocol == "graphite" =>
            {
                let address = self.address(protocol);
                match (what, address) {
                    ("enabled", address) => json!(address.is_some()),
                    ("ip", Some((host, _))) => json!(host),
                    ("port", Some((_, port))) => json!(port.trim().parse::<i64>()?),
                    // What is off has no address.
                    _ => return Ok(()),
                }
            }
            _ => match key {
                "collectd_types" => {
                    let given = self.options.values("--collectd-types");
                    let of_file = of_broker("collectd-types");
                    let both = [&*of_file, given].concat();
                    if !given.is_empty() && !of_file.is_empty() && json!(both) == *recorded {
                        differences.by_design("a list of flags replaces that of the file");
                        return Ok(());
                    }
                    json!(both)
                }
                "collectd_auth_file" => self.first("broker", &flag(key)),
                "collectd_counter_eq_derive" => json!(!of_broker(&flag(key)).is_empty()),
                "debug" => {
                    if self.options.has("--debug") {
                        differences.by_design("zibrato-tail takes the place of --debug");
                        json!(true)
                    } else {
                        // The level `DEBUG` gives the same line.
                        let has_key = self.file.lines().any(|line| line.starts_with("debug"));
                        json!(has_key && of_broker("log-level") == ["debug"])
                    }
                }
                "full_trace" | "gid" | "nice" | "uid" => {
                    if *recorded != Value::Null && *recorded != false {
                        differences.by_design("the service manager takes the place of the key");
                    }
                    return Ok(());
                }
                "directory" => {
                    differences.by_design("the folder is a part of --statsd-gauges");
                    return Ok(());
                }
                "log_level" => return self.compare_level(recorded, differences),
                "metricsd_default_interval" => self.seconds("broker", "metricsd-interval")?,
                "statsd_flush_time" => self.seconds("carbon-statsd", "flush")?,
                "collectd_security_level" => {
                    match of_broker(&flag(key)).first().map(String::as_str) {
                        None => json!(0),
                        Some("sign") => json!(1),
                        _ => json!(2),
                    }
                }
                "name_prefix" | "name_postfix" => {
                    self.first("carbon-hosts", key.trim_start_matches("name_"))
                }
                "name_host_trim" => json!(self.translated.texts("carbon-hosts", "trim-host")),
                "name_strip_duplicates" => {
                    json!(self.first("carbon-hosts", "strip-duplicates") != "no")
                }
                "statsd_legacy_namespace" => {
                    json!(self.first("carbon-statsd", "names") == "statsd-legacy")
                }
                "statsd_persistent_gauges" => json!(!of_broker("statsd-gauges").is_empty()),
                _ => return self.without_equivalent(key, differences),
            },
        };
        let is_number = |a: &Value, b: &Value| a.is_number() && a.as_f64() == b.as_f64();
        if found == *recorded || is_number(&found, recorded) {
            return Ok(());
        }
        let is_noted =
            |note: &String| note.contains(&format!("`{key}")) && note.contains("computed");
        if self.translated.notes().iter().any(is_noted) {
            differences.by_design(READ);
        } else {
            differences.fail(format!("{key}: recorded {recorded}, found {found}"));
        }
        Ok(())
    }

    /// The first value of a key, or nothing.
    fn first(&self, program: &str, key: &str) -> Value {
        self.translated.texts(program, key).first().map_or(Value::Null, |value| json!(value))
    }

    /// A number of seconds, which is 10 if it is not given.
    fn seconds(&self, program: &str, key: &str) -> anyhow::Result<Value> {
        match self.translated.texts(program, key).first() {
            Some(seconds) => Ok(json!(seconds.parse::<f64>()?)),
            None => Ok(json!(10.0)),
        }
    }

    /// `bucky-config` says what takes the place of a key.
    fn without_equivalent(&self, key: &str, differences: &mut Differences) -> anyhow::Result<()> {
        let translated = Translated::new(&format!("{key} = 'vectors'\n"))?;
        let why = translated.notes().iter().find_map(|note| note.strip_prefix("line 1: "));
        match why.filter(|why| !why.contains("has no such key") && !why.contains(": expected")) {
            Some(why) => differences.by_design(why),
            None => bail!("no setting of Zibrato is known for {key}"),
        }
        Ok(())
    }

    fn compare_level(&self, recorded: &Value, differences: &mut Differences) -> anyhow::Result<()> {
        let number = match recorded {
            Value::String(word) => match &**word {
                "CRITICAL" => 50,
                "ERROR" => 40,
                "WARNING" => 30,
                "INFO" => 20,
                "DEBUG" => 10,
                _ => bail!("an unknown level {word}"),
            },
            number => number.as_i64().context("a level is a word or a number")?,
        };
        let found = self.log_level();
        let level = match number {
            40.. => "error",
            30.. => "warn",
            20.. => "info",
            _ => "debug",
        };
        if found != level {
            differences.fail(format!("log_level: recorded {recorded}, found {found}"));
        } else if ![10, 20, 30, 40].contains(&number) {
            // Only a file can set it.
            if !self.file.contains(&number.to_string()) {
                differences.fail(format!("log_level: recorded {recorded}, found {found}"));
            }
            differences.by_design("a level between two words is the more detailed one");
        }
        Ok(())
    }
}

const READ: &str = "the file is read, not executed: what it computes is named in a comment";
