//! The template of a path: `{prefix}{source}.{name}{suffix}`.
//!
//! Pure.

use crate::carbon::name;
use std::fmt;
use std::str::FromStr;

/// What stands where in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    Name,
    Prefix,
    Source,
}

impl Piece {
    const FIELDS: [(&str, Self); 3] =
        [("{name}", Self::Name), ("{prefix}", Self::Prefix), ("{source}", Self::Source)];
}

/// The end of every template: the statistic and the postfix.
const SUFFIX: &str = "{suffix}";

/// The path of a series in Carbon, such as `{prefix}{source}.{name}{suffix}`.
///
/// `{prefix}` is the prefix with a dot after it, and `{suffix}` is the statistic, such as `.mean`,
/// and the postfix. Both are empty if there is nothing. Empty parts of the path are omitted.
/// Without `{source}`, the series of all sources are added up.
///
/// ```
/// use zibrato_workers::carbon::Template;
/// assert!("{prefix}apps.{name}.{source}{suffix}".parse::<Template>().is_ok());
/// assert!("{prefix}{level}.{name}{suffix}".parse::<Template>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    // Invariant: has `Name`.
    pieces: Vec<Piece>,
}

impl Template {
    /// `{prefix}{source}.{name}{suffix}`
    pub(super) fn with_source() -> Self {
        let dot = Piece::Literal(".".to_owned());
        Self { pieces: vec![Piece::Prefix, Piece::Source, dot, Piece::Name] }
    }

    /// `{prefix}{name}{suffix}`
    pub(super) fn without_source() -> Self {
        Self { pieces: vec![Piece::Prefix, Piece::Name] }
    }

    pub(super) fn has_source(&self) -> bool {
        self.pieces.contains(&Piece::Source)
    }

    /// The path without its suffix. It may have empty parts.
    pub(super) fn fill(&self, prefix: &str, source: &str, name: &str) -> String {
        let mut path = String::with_capacity(prefix.len() + source.len() + name.len() + 16);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => path.push_str(text),
                Piece::Name => path.push_str(name),
                Piece::Prefix if prefix.is_empty() => {}
                Piece::Prefix => path.extend([prefix, "."]),
                Piece::Source => path.push_str(source),
            }
        }
        path
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let mut rest = text.strip_suffix(SUFFIX).ok_or(TemplateError::Suffix)?;
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let literal = rest.split('{').next().unwrap_or_default();
            if !literal.is_empty() {
                let clean = name::legal(literal);
                if clean != literal {
                    return Err(TemplateError::Literal { text: literal.to_owned() });
                }
                pieces.push(Piece::Literal(clean));
                rest = rest.strip_prefix(literal).unwrap_or_default();
                continue;
            }
            let found = Piece::FIELDS
                .into_iter()
                .find_map(|(field, piece)| Some((rest.strip_prefix(field)?, piece)));
            let Some((after, piece)) = found else {
                let end = rest.find('}').map_or(rest.len(), |at| at + 1);
                let field = rest.get(..end).unwrap_or_default().to_owned();
                return Err(if field == SUFFIX {
                    TemplateError::Suffix
                } else {
                    TemplateError::Field { field }
                });
            };
            pieces.push(piece);
            rest = after;
        }
        if pieces.contains(&Piece::Name) { Ok(Self { pieces }) } else { Err(TemplateError::Name) }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            let field = Piece::FIELDS.iter().find(|(_, known)| known == piece);
            match (field, piece) {
                (Some((field, _)), _) => f.write_str(field)?,
                (None, Piece::Literal(text)) => f.write_str(text)?,
                (None, _) => {}
            }
        }
        f.write_str(SUFFIX)
    }
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// There is no such field.
    #[error("unknown field `{field}`; fields are {{prefix}}, {{source}}, {{name}} and {{suffix}}")]
    Field {
        /// The field.
        field: String,
    },
    /// A text between fields is not valid in a path.
    #[error("`{text}` is not valid in a path")]
    Literal {
        /// The text.
        text: String,
    },
    /// There is no name.
    #[error("{{name}} is missing")]
    Name,
    /// The suffix is not at the end.
    #[error("write {{suffix}} at the end, and only there")]
    Suffix,
}

#[cfg(test)]
mod tests {
    use super::Template;

    #[test]
    fn a_template_is_displayed_as_it_was_parsed() {
        let defaults = [Template::with_source(), Template::without_source()];
        for (text, known) in [
            ("{prefix}{source}.{name}{suffix}", Some(&defaults[0])),
            ("{prefix}{name}{suffix}", Some(&defaults[1])),
            ("a.{name}-{source}.b{suffix}", None),
        ] {
            let template: Template = text.parse().unwrap();
            assert_eq!(template.to_string(), text);
            assert!(known.is_none_or(|known| *known == template));
        }
    }

    #[test]
    fn a_template_with_a_mistake_is_rejected_and_the_error_names_it() {
        for (text, part) in [
            ("", "{suffix} at the end"),
            ("{name}", "{suffix} at the end"),
            ("{suffix}", "{name} is missing"),
            ("{name}{suffix}{suffix}", "only there"),
            ("{source}{suffix}", "{name} is missing"),
            ("{name}{suffix}.x", "{suffix} at the end"),
            ("{suffix}.{name}{suffix}", "only there"),
            ("{level}.{name}{suffix}", "unknown field `{level}`"),
            ("{name.{suffix}", "unknown field `{name.`"),
            ("{Name}{suffix}", "unknown field `{Name}`"),
            ("a b{name}{suffix}", "`a b` is not valid"),
            ("}{name}{suffix}", "`}` is not valid"),
        ] {
            let error = text.parse::<Template>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
