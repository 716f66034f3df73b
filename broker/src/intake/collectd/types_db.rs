//! The data sources of each CollectD type, as `types.db` files define them.
//!
//! Pure: takes bytes and times, opens nothing.
//!
//! ```text
//! if_octets    rx:DERIVE:0:U, tx:DERIVE:0:U
//! type         source:KIND:minimum:maximum     U is no limit
//! ```

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// Maximum length of a line, in bytes, as in CollectD itself.
const MAX_LINE_BYTES: usize = 4_095;

/// How the readings of a data source become values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceKind {
    /// A count since the last reading, sent as a rate.
    Absolute,
    /// A count that only grows, and wraps at 32 or 64 bits; sent as a rate.
    Counter,
    /// A count that may shrink, sent as a rate.
    Derive,
    /// A value that is sent as it is.
    Gauge,
}

impl SourceKind {
    const ALL: [Self; 4] = [Self::Absolute, Self::Counter, Self::Derive, Self::Gauge];

    /// The kind with this code in a datagram.
    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The code of the kind in a datagram.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Counter => 0,
            Self::Gauge => 1,
            Self::Derive => 2,
            Self::Absolute => 3,
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| word.eq_ignore_ascii_case(kind.word()))
    }

    /// Its name in `types.db`.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Absolute => "ABSOLUTE",
            Self::Counter => "COUNTER",
            Self::Derive => "DERIVE",
            Self::Gauge => "GAUGE",
        }
    }
}

/// One value of a type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DataSource {
    pub(crate) name: Box<str>,
    pub(crate) kind: SourceKind,
    /// The least valid value; minus infinity if there is no limit.
    pub(crate) min: f64,
    /// The greatest valid value; infinity if there is no limit.
    pub(crate) max: f64,
}

impl DataSource {
    /// A data source with this kind, by its name in `types.db`, and without limits.
    pub(crate) fn unlimited(name: &str, kind: &str) -> Option<Self> {
        let (min, max) = (f64::NEG_INFINITY, f64::INFINITY);
        Some(Self { name: name.into(), kind: SourceKind::from_word(kind)?, min, max })
    }
}

/// The name and the data sources of a type.
type Definition = (Box<str>, Box<[DataSource]>);

/// Why a line is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TypesLineError {
    /// It is too long.
    #[error("the line is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// It names a type only.
    #[error("expected data sources after the type, such as `load value:GAUGE:0:100`")]
    NoSources,
    /// A data source does not have four fields.
    #[error("expected a data source as NAME:KIND:MIN:MAX, such as value:GAUGE:0:U")]
    Fields,
    /// The kind of a data source is unknown.
    #[error("the kind of a data source must be ABSOLUTE, COUNTER, DERIVE or GAUGE")]
    Kind,
    /// No value is within the limits of a data source.
    #[error("the minimum of a data source is above its maximum")]
    Limits,
    /// A limit of a data source is not a number.
    #[error("the limits of a data source must be numbers, or U for no limit")]
    Limit,
}

/// The types of all files.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TypesDb {
    types: HashMap<Box<str>, Box<[DataSource]>, RandomState>,
}

impl TypesDb {
    /// Adds the types of a file. They replace earlier ones of the same name. Invalid lines are
    /// skipped, and passed to `skipped` with their number.
    pub(super) fn add(&mut self, file: &str, mut skipped: impl FnMut(usize, TypesLineError)) {
        for (line, number) in file.lines().zip(1..) {
            match parse(line) {
                Ok(Some((name, sources))) => drop(self.types.insert(name, sources)),
                Ok(None) => {}
                Err(error) => skipped(number, error),
            }
        }
    }

    /// The data sources of a type.
    pub(super) fn get(&self, name: &str) -> Option<&[DataSource]> {
        self.types.get(name).map(|sources| &**sources)
    }

    /// All types.
    #[cfg(feature = "fuzzing")]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[DataSource])> {
        self.types.iter().map(|(name, sources)| (&**name, &**sources))
    }

    /// The number of types.
    pub(super) fn len(&self) -> usize {
        self.types.len()
    }
}

/// A type and its data sources, or nothing for an empty line or a comment.
fn parse(line: &str) -> Result<Option<Definition>, TypesLineError> {
    let mut fields = line.split([' ', '\t', ',', '\r']).filter(|field| !field.is_empty());
    let Some(name) = fields.next().filter(|name| !name.starts_with('#')) else { return Ok(None) };
    if line.len() > MAX_LINE_BYTES {
        return Err(TypesLineError::TooLong);
    }
    let sources = fields.map(source).collect::<Result<Box<[_]>, _>>()?;
    if sources.is_empty() {
        return Err(TypesLineError::NoSources);
    }
    Ok(Some((name.into(), sources)))
}

fn source(field: &str) -> Result<DataSource, TypesLineError> {
    let fields: Vec<_> = field.split(':').collect();
    let [name, kind, min, max] = fields[..] else { return Err(TypesLineError::Fields) };
    if name.is_empty() {
        return Err(TypesLineError::Fields);
    }
    let kind = SourceKind::from_word(kind).ok_or(TypesLineError::Kind)?;
    let (min, max) = (limit(min, f64::NEG_INFINITY)?, limit(max, f64::INFINITY)?);
    if min > max {
        return Err(TypesLineError::Limits);
    }
    Ok(DataSource { name: name.into(), kind, min, max })
}

fn limit(text: &str, none: f64) -> Result<f64, TypesLineError> {
    if text.eq_ignore_ascii_case("u") {
        return Ok(none);
    }
    text.parse().ok().filter(|limit: &f64| !limit.is_nan()).ok_or(TypesLineError::Limit)
}

#[cfg(test)]
mod tests {
    use super::{DataSource, SourceKind, TypesDb, TypesLineError};
    use SourceKind::{Absolute, Counter, Derive, Gauge};

    const NO_MIN: f64 = f64::NEG_INFINITY;
    const NO_MAX: f64 = f64::INFINITY;

    type Expected = (&'static str, &'static [(&'static str, SourceKind, f64, f64)]);

    fn read(files: &[&str]) -> (TypesDb, Vec<(usize, TypesLineError)>) {
        let (mut types, mut skipped) = (TypesDb::default(), Vec::new());
        for file in files {
            types.add(file, |line, error| skipped.push((line, error)));
        }
        (types, skipped)
    }

    #[test]
    fn types_are_read_as_collectd_reads_them() {
        let rows: [(&[&str], &[Expected]); 10] = [
            (
                &[
                    "# x\n   # y\n\nif_octets\t\trx:COUNTER:0:4294967295, tx:COUNTER:0:4294967295\ngauge   value:GAUGE:U:U\n",
                ],
                &[
                    (
                        "if_octets",
                        &[
                            ("rx", Counter, 0.0, 4_294_967_295.0),
                            ("tx", Counter, 0.0, 4_294_967_295.0),
                        ],
                    ),
                    ("gauge", &[("value", Gauge, NO_MIN, NO_MAX)]),
                ],
            ),
            // A later file replaces a type as a whole.
            (
                &["a value:GAUGE:0:1, b:GAUGE:0:1\n", "a value:DERIVE:U:U\nb x:ABSOLUTE:0:U\n"],
                &[
                    ("a", &[("value", Derive, NO_MIN, NO_MAX)]),
                    ("b", &[("x", Absolute, 0.0, NO_MAX)]),
                ],
            ),
            (
                &["a x:GAUGE:0:1,y:GAUGE:0:1\n"],
                &[("a", &[("x", Gauge, 0.0, 1.0), ("y", Gauge, 0.0, 1.0)])],
            ),
            (
                &["a x:GAUGE:0:1 y:GAUGE:0:1\n"],
                &[("a", &[("x", Gauge, 0.0, 1.0), ("y", Gauge, 0.0, 1.0)])],
            ),
            (
                &["a x:GAUGE:0:1,  y:GAUGE:0:1,\n"],
                &[("a", &[("x", Gauge, 0.0, 1.0), ("y", Gauge, 0.0, 1.0)])],
            ),
            (
                &["a x:GAUGE:0:1,\ty:GAUGE:0:1\r\n"],
                &[("a", &[("x", Gauge, 0.0, 1.0), ("y", Gauge, 0.0, 1.0)])],
            ),
            (&["a x:gauge:0:1\n"], &[("a", &[("x", Gauge, 0.0, 1.0)])]),
            (&["a x:GAUGE:u:1"], &[("a", &[("x", Gauge, NO_MIN, 1.0)])]),
            (&["  a x:GAUGE:-1.5:1e6\n"], &[("a", &[("x", Gauge, -1.5, 1e6)])]),
            (&[""], &[]),
        ];
        for (files, expected) in rows {
            let (types, skipped) = read(files);
            assert_eq!((types.len(), skipped.as_slice()), (expected.len(), &[][..]), "{files:?}");
            for (name, sources) in expected {
                let expected: Vec<_> = sources
                    .iter()
                    .map(|(name, kind, min, max)| DataSource {
                        name: (*name).into(),
                        kind: *kind,
                        min: *min,
                        max: *max,
                    })
                    .collect();
                assert_eq!(types.get(name), Some(&*expected), "{files:?}");
            }
        }
    }

    #[test]
    fn a_faulty_line_costs_that_line() {
        let long = format!("a {}", "value:GAUGE:0:1, ".repeat(300));
        for (line, expected) in [
            ("a", TypesLineError::NoSources),
            ("a ,", TypesLineError::NoSources),
            ("a x", TypesLineError::Fields),
            ("a x:GAUGE:0", TypesLineError::Fields),
            ("a x:GAUGE:0:1:2", TypesLineError::Fields),
            ("a :GAUGE:0:1", TypesLineError::Fields),
            ("a x:FOO:0:1", TypesLineError::Kind),
            ("a x:GAUGE:0:1, y::0:1", TypesLineError::Kind),
            ("a x:GAUGE:zero:1", TypesLineError::Limit),
            ("a x:GAUGE:0:NaN", TypesLineError::Limit),
            ("a x:GAUGE:0:", TypesLineError::Limit),
            ("a x:GAUGE:1:0", TypesLineError::Limits),
            (&*long, TypesLineError::TooLong),
        ] {
            let file = format!("first value:GAUGE:U:U\n{line}\nlast value:GAUGE:U:U\n");
            let (types, skipped) = read(&[&file]);
            assert_eq!((skipped, types.len()), (vec![(2, expected)], 2), "{line}");
        }
    }

    #[test]
    fn codes_in_datagrams_are_those_of_the_protocol() {
        let codes = [0, 1, 2, 3, 4, 7, 255].map(SourceKind::from_code);
        assert_eq!(
            codes,
            [Some(Counter), Some(Gauge), Some(Derive), Some(Absolute), None, None, None]
        );
    }
}
