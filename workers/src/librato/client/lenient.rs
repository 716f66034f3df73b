//! Fields as servers write them: `60.0` for a whole number, and `null` for nothing.
//!
//! Pure.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The largest whole number up to which all are numbers of JSON's usual type.
const MOST: f64 = 9_007_199_254_740_992.0;

/// A whole number, without its fraction; `None` for `null`.
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Whole(u64),
        Float(f64),
    }
    Ok(match Option::<Given>::deserialize(deserializer)? {
        None => None,
        Some(Given::Whole(whole)) => Some(whole),
        Some(Given::Float(float)) if (0.0..=MOST).contains(&float) => Some(float as u64),
        Some(Given::Float(float)) => {
            return Err(D::Error::custom(format!("{float} is not a whole number from 0 on")));
        }
    })
}

/// A value; the default for `null`.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use crate::librato::client::{Alert, Metric, PageInfo};

    #[test]
    fn numbers_may_have_a_fraction_and_fields_may_be_null() {
        let metric = |period: &str| {
            let text = format!(r#"{{"name":"m","period":{period},"attributes":null}}"#);
            serde_json::from_str::<Metric>(&text).map(|metric| metric.period)
        };
        for (period, expected) in [("60", Some(60)), ("60.0", Some(60)), ("null", None)] {
            assert_eq!(metric(period).unwrap(), expected, "{period}");
        }
        for bad in ["-1", "-0.5", "1e300", "\"60\"", "[]"] {
            assert!(metric(bad).is_err(), "{bad}");
        }
        let alert: Alert = serde_json::from_str(
            r#"{"name":"a","attributes":null,"rearm_seconds":600.0,"services":null,"md":null,
                "conditions":[{"type":"above","metric_name":"m","duration":60.0,"threshold":1,
                "tags":{"a":["b","c"],"d":"e"}}],"created_at":1.5e9,"version":null,"active":null}"#,
        )
        .unwrap();
        let condition = &alert.conditions[0];
        assert_eq!((alert.rearm_seconds, condition.duration), (Some(600), Some(60)));
        assert_eq!(condition.tags[0].values, ["b", "c"]);
        assert_eq!(condition.tags[1].values, ["e"]);
        assert!((alert.version, alert.active, alert.created_at) == (2, true, Some(1_500_000_000)));
        let page: PageInfo = serde_json::from_str(r#"{"found":2.0,"length":null}"#).unwrap();
        assert_eq!((page.found, page.length), (Some(2), None));
    }
}
