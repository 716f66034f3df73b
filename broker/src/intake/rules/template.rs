//! Templates of rules: text with fields in braces.

use super::sample::Series;
use regex::Captures;
use serde::Deserialize;
use serde::de;

/// A text such as `disk.{plugin_instance}.{1}`.
#[derive(Debug, Clone)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Field(Field),
    /// The text that matched a wildcard or group of the name's pattern. Numbers start at 1.
    Group(usize),
    /// The value of a tag; empty if the series does not have it.
    Tag(String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Field {
    Host,
    Kind,
    Level,
    Name,
    Plugin,
    PluginInstance,
    Protocol,
    Type,
    TypeInstance,
    ValueName,
}

/// The fields, by their names in templates.
const FIELDS: [(&str, Field); 10] = [
    ("host", Field::Host),
    ("kind", Field::Kind),
    ("level", Field::Level),
    ("name", Field::Name),
    ("plugin", Field::Plugin),
    ("plugin_instance", Field::PluginInstance),
    ("protocol", Field::Protocol),
    ("type", Field::Type),
    ("type_instance", Field::TypeInstance),
    ("value_name", Field::ValueName),
];

impl Template {
    /// Parses the text. `{{` and `}}` are braces.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            plain.push_str(before);
            let doubled = ["{{", "}}"].iter().find_map(|two| Some((two, brace.strip_prefix(two)?)));
            if let Some((two, after)) = doubled {
                plain.extend(two.chars().next());
                rest = after;
                continue;
            }
            let field = brace.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let Some((field, after)) = field else {
                return Err("a brace has no partner; write {{ or }} for a brace itself".to_owned());
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::parse(field)?);
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// The highest number of a group.
    pub(super) fn groups(&self) -> usize {
        let number = |part: &Part| match part {
            Part::Group(number) => *number,
            Part::Text(_) | Part::Field(_) | Part::Tag(_) => 0,
        };
        self.0.iter().map(number).max().unwrap_or_default()
    }

    /// The text for a series. `groups` are those of the pattern for the name.
    pub(super) fn expand(&self, series: &Series<'_>, groups: Option<&Captures<'_>>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            text.push_str(match part {
                Part::Text(text) => text,
                Part::Field(field) => field.of(series),
                Part::Group(number) => {
                    groups.and_then(|groups| groups.get(*number)).map_or("", |group| group.as_str())
                }
                Part::Tag(tag) => series.tag(tag).unwrap_or_default(),
            });
        }
        text
    }

    /// Like [`expand`](Self::expand), for a name: dots without anything between them become one.
    pub(super) fn expand_name(&self, series: &Series<'_>, groups: Option<&Captures<'_>>) -> String {
        let text = self.expand(series, groups);
        let parts: Vec<_> = text.split('.').filter(|part| !part.is_empty()).collect();
        parts.join(".")
    }
}

impl Part {
    fn parse(field: &str) -> Result<Self, String> {
        if let Some(tag) = field.strip_prefix("tag.") {
            return Ok(Self::Tag(tag.to_owned()));
        }
        if let Ok(number) = field.parse::<u8>().map(usize::from)
            && number > 0
        {
            return Ok(Self::Group(number));
        }
        let known = FIELDS.iter().find(|(name, _)| *name == field);
        known.map(|(_, field)| Self::Field(*field)).ok_or_else(|| {
            let names: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
            format!(
                "there is no field {{{field}}}; the fields are {}, tag.NAME, and 1, 2, … for \
                 wildcards of the name",
                names.join(", ")
            )
        })
    }
}

impl Field {
    fn of<'a>(self, series: &Series<'a>) -> &'a str {
        let collectd = series.collectd.unwrap_or_default();
        match self {
            Self::Host => series.host,
            Self::Kind => series.kind_word(),
            Self::Level => series.level,
            Self::Name => series.name,
            Self::Plugin => collectd.plugin,
            Self::PluginInstance => collectd.plugin_instance,
            Self::Protocol => series.protocol,
            Self::Type => collectd.type_name,
            Self::TypeInstance => collectd.type_instance,
            Self::ValueName => collectd.value_name,
        }
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: de::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}
