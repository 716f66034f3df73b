//! The YAML file of carbon-slack, as TOML: `token`, `channel`, `carbon-server` and `carbon-port`.
//!
//! Pure.

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use std::path::Path;

/// The file that carbon-slack reads by default.
pub(super) const DEFAULT: &str = "/etc/carbon-slack.yml";

/// A sample, which `init` prints.
pub(super) const SAMPLE: &str = "\
token: xoxb-1234567890-yadda-yadda
channel: metrics
carbon-server: 127.0.0.1
carbon-port: 2003
";

/// Converts a file to TOML, unless it is TOML, as its name says. Each key stays on its line.
pub(super) fn to_toml(path: &Path, text: String) -> Result<String, String> {
    if path.extension().is_some_and(|extension| extension == "toml") {
        return Ok(text);
    }
    let documents = MarkedYaml::load_from_str(&text).map_err(|why| why.to_string())?;
    let [document] = &documents[..] else {
        return if documents.is_empty() {
            Ok(String::new())
        } else {
            Err("it has several documents".to_owned())
        };
    };
    let mapping = match &document.data {
        YamlData::Mapping(mapping) => mapping,
        YamlData::Value(Scalar::Null) => return Ok(String::new()),
        _ => return Err("expected keys with values, such as `channel: metrics`".to_owned()),
    };
    let mut toml = String::new();
    for (key, value) in mapping {
        let line = key.span.start.line();
        let Some(key) = key.data.as_str() else {
            return Err(format!("a key is not a word (line {line})"));
        };
        let value = match &value.data {
            YamlData::Value(Scalar::Null) => continue,
            YamlData::Value(Scalar::Boolean(value)) => value.to_string(),
            YamlData::Value(Scalar::Integer(value)) => value.to_string(),
            YamlData::Value(Scalar::FloatingPoint(value)) => format!("{:?}", value.0),
            YamlData::Value(Scalar::String(value)) => quoted(value),
            _ => return Err(format!("{key}: expected a single value (line {line})")),
        };
        let before = toml.matches('\n').count() + 1;
        toml.extend(std::iter::repeat_n('\n', line.saturating_sub(before)));
        toml.push_str(&format!("{} = {value}\n", quoted(key)));
    }
    Ok(toml)
}

/// A text of TOML, whose escapes are those of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::{SAMPLE, to_toml};
    use std::path::Path;

    fn convert(text: &str) -> Result<String, String> {
        to_toml(Path::new("carbon-slack.yml"), text.to_owned())
    }

    #[test]
    fn the_keys_stay_on_their_lines() {
        let toml = convert(SAMPLE).unwrap();
        let expected = "\"token\" = \"xoxb-1234567890-yadda-yadda\"\n\"channel\" = \"metrics\"\n\
                        \"carbon-server\" = \"127.0.0.1\"\n\"carbon-port\" = 2003\n";
        assert_eq!(toml, expected);
        let text = "# a comment\n---\ncarbon-port: \"2023\"\n\ntoken:\nchannel: '#a: \"b\"'\n";
        assert_eq!(
            convert(text).unwrap(),
            "\n\n\"carbon-port\" = \"2023\"\n\n\n\"channel\" = \"#a: \\\"b\\\"\"\n"
        );
        assert_eq!(convert("").unwrap(), "");
        assert_eq!(convert("# nothing\n").unwrap(), "");
        let toml = "channel = \"x\"".to_owned();
        assert_eq!(to_toml(Path::new("a.toml"), toml.clone()).unwrap(), toml);
    }

    #[test]
    fn what_is_no_mapping_of_values_is_refused() {
        for text in ["[1]", "a: [1]", "a: {b: 1}", "a: b: c", "a: 1\n---\nb: 1", "? [x]\n: 1", "a"]
        {
            assert!(convert(text).is_err(), "{text}: {:?}", convert(text));
        }
    }
}
