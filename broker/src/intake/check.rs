//! The check of series that intakes have aggregated.

use zibrato::window::Fold;
use zibrato::wire::MAX_TAGS;
use zibrato::{check_level, check_name, check_unit};

/// Returns the reason why a series is invalid.
pub(super) fn check_series(
    level: &str,
    source: &str,
    name: &str,
    tags: &[(&str, &str)],
    readings: &Fold,
) -> Result<(), &'static str> {
    check_level(level).map_err(|_| "level")?;
    check_name(source).map_err(|_| "source")?;
    check_name(name).map_err(|_| "name")?;
    let are_valid = tags.len() <= MAX_TAGS
        && tags.iter().all(|(tag, value)| check_name(tag).is_ok() && check_name(value).is_ok());
    if !are_valid || readings.unit().is_some_and(|unit| check_unit(unit).is_err()) {
        return Err("tags");
    }
    let is_valid = match readings {
        Fold::Counter(sum) => sum.is_finite(),
        Fold::Gauge(gauge) => gauge.is_some_and(|gauge| gauge.last.is_finite()),
        Fold::Set(members) => members.iter().all(|member| check_name(member).is_ok()),
        _ => readings.summary().is_some_and(|summary| summary.count() > 0),
    };
    if is_valid { Ok(()) } else { Err("value") }
}
