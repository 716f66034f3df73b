//! The level of an intake. One is reserved.

use crate::self_metrics::SELF_LEVEL;
use zibrato::Level;

/// Parses the level of a flag or of a rule.
///
/// # Errors
/// A message that says why it cannot be the level of an intake.
pub(crate) fn intake_level(text: &str) -> Result<Level, String> {
    // Subscribers separate levels by commas, so none could name it.
    if text.contains(',') {
        return Err("it contains a comma; give one level".to_owned());
    }
    let level = Level::new(text).map_err(|error| error.to_string())?;
    check_reserved(text)?;
    Ok(level)
}

/// Refuses the level of self-metrics. What others send would be taken for metrics of Zibrato itself,
/// and workers that omit these would omit it too.
pub(super) fn check_reserved(level: &str) -> Result<(), String> {
    if level == SELF_LEVEL {
        return Err(format!(
            "the level {SELF_LEVEL} is reserved for the metrics of Zibrato itself; use another one"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::intake_level;

    #[test]
    fn the_level_of_self_metrics_is_reserved() {
        assert_eq!(intake_level("statsd").unwrap().as_str(), "statsd");
        assert!(intake_level("zibrato").unwrap_err().contains("reserved"));
        assert!(!intake_level("").unwrap_err().contains("reserved"));
    }

    #[test]
    fn a_list_of_levels_is_not_a_level() {
        for bad in ["a,b", "info,", ","] {
            assert!(intake_level(bad).unwrap_err().contains("give one level"), "{bad}");
        }
        assert_eq!(intake_level("a b").unwrap().as_str(), "a b");
    }
}
