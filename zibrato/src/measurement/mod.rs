//! The parts of a measurement: kind, level, name and source; the summary of a gauge; annotations.

mod annotation;
mod finite;
mod gauge;
mod kind;
#[cfg(feature = "sdk")]
mod reading;
mod tags;
mod text;

pub use annotation::{
    Annotation, AnnotationError, AnnotationLink, MAX_DESCRIPTION_BYTES, MAX_HREF_BYTES, MAX_LINKS,
    MAX_TITLE_BYTES,
};
pub(crate) use finite::sum as finite_sum;
pub use gauge::Gauge;
pub use kind::Kind;
#[cfg(feature = "sdk")]
pub use reading::{Measurement, RecordedAnnotation};
pub use tags::{MAX_TAGS, Tags};
pub use text::{
    DEFAULT_SOURCE, Level, MAX_LEVEL_BYTES, MAX_NAME_BYTES, MAX_UNIT_BYTES, Name, Source,
    TextError, TextProblem, Unit, check_level, check_name, check_unit,
};
