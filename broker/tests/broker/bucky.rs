//! `zibrato-broker bucky-config`: what it prints, and that the broker accepts it.

use crate::program::ended;
use std::fs;
use std::path::Path;

/// A configuration of bucky.
const FILE: &str = r"
import os
statsd_enabled = False
collectd_enabled = False
metricsd_port = 0
metricsd_default_interval = 2.5
metricsd_handlers = [
    (r'com\.example\.web-\d{1,3}\.', 1.0, 50),
    (r'it\'s', 60),
]
log_level = 'WARNING'
name_prefix = os.environ['PREFIX']
sentry_enabled = True
";

fn translated(folder: &Path, text: &str, program: &str) -> String {
    let file = folder.join("bucky.conf");
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let (code, stdout, stderr) = ended(&["bucky-config", file, "--for", program]);
    assert_eq!(code, 0, "{stderr}");
    // One line says how many things are not translated.
    let lost = stdout.lines().filter(|line| line.starts_with("# line ")).count();
    match lost {
        0 => assert_eq!(stderr, ""),
        _ => assert!(stderr.contains(&format!(": warning: {lost} thing")), "{lost}: {stderr}"),
    }
    assert!(stderr.lines().count() <= 1, "{stderr}");
    stdout
}

#[test]
fn the_broker_accepts_the_translation_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let text = translated(folder.path(), FILE, "broker");
    for part in [
        "\nmetricsd = \"127.0.0.1:0\"\n",
        "\nmetricsd-interval = 2.5\n",
        "\n# line 2: `import os` is Python code, which is not translated\n",
        "\n# line 12: `name_prefix = os.environ['PREFIX']` is computed: give its value in the form",
        "\n# line 13: sentry_enabled: errors are log lines; ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let config = folder.path().join("broker.toml");
    let ports = "port = 0\nhttp = 'off'\n";
    fs::write(&config, format!("{ports}{text}")).unwrap();
    let (code, stdout, stderr) = ended(&["--check", "--config", config.to_str().unwrap()]);
    assert_eq!((code, &*stdout), (0, "The configuration is valid\n"), "{text}{stderr}");
    let carbon = translated(folder.path(), FILE, "carbon-hosts");
    assert!(carbon.contains("\n# line 12: `name_prefix = os.environ['PREFIX']` is"), "{carbon}");
    assert!(!carbon.contains("sentry"), "{carbon}");
    assert!(carbon.contains("\nlevels = [\"metricsd\"]\nflush = 2.5\n"), "{carbon}");
}

#[test]
fn a_value_that_the_broker_does_not_accept_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = translated(
        folder.path(),
        "metricsd_default_interval = -1\nmetricsd_handlers = [('(', 1, 1), ('a', 2)]\n\
         metricsd_port = 'x'",
        "broker",
    );
    for part in [
        "# line 1: metricsd_default_interval: zibrato-broker does not accept `metricsd-interval = -1`, so \
         it is omitted: invalid value '-1' for '--metricsd-interval",
        "# line 2: metricsd_handlers: the handler `(=1@1` is omitted: invalid value '(=1@1' for \
         '--metricsd-handler",
        "\nmetricsd-handler = [\"a=2\"]\n",
        "# line 3: metricsd_port: expected a port up to 65535 (bucky's default here is 23632); bucky's \
         default is used\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("latin-1.conf");
    fs::write(&file, b"a = '\xe9'").unwrap();
    for (file, part) in [
        (file.to_str().unwrap(), "is not UTF-8"),
        ("/nowhere/bucky.conf", "No such file"),
        ("/", "directory"),
        ("/dev/zero", "is larger than 1048576 bytes"),
    ] {
        let (code, stdout, stderr) = ended(&["bucky-config", file]);
        assert_eq!((code, &*stdout), (78, ""), "{file}: {stderr}");
        assert!(stderr.contains(file) && stderr.contains(part), "{file}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    let (code, _, stderr) = ended(&["bucky-config"]);
    assert!(code == 64 && stderr.contains("<FILE>"), "{stderr}");
}

#[test]
fn a_file_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tool.py");
    fs::write(&file, "import os\nname = 'tool'\nprint(os.getpid(), name)\n").unwrap();
    let path = file.to_str().unwrap();
    let (code, stdout, stderr) = ended(&["bucky-config", path]);
    assert_eq!((code, &*stdout), (78, ""), "{stderr}");
    assert!(stderr.contains("tool.py: no key of bucky is assigned"), "{stderr}");
    // A file that cannot be read to its end is not translated either.
    fs::write(&file, "statsd_port = (8125\ncollectd_enabled = False\n").unwrap();
    let (code, stdout, stderr) = ended(&["bucky-config", path]);
    assert_eq!((code, &*stdout), (78, ""), "{stderr}");
    assert!(
        stderr.contains("tool.py: line 1: `statsd_port = (8125` is a syntax error"),
        "{stderr}"
    );
}
