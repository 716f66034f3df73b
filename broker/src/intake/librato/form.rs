//! Measurements as a form: `source=web-1&gauges[0][name]=a&gauges[0][value]=1`.
//!
//! ```text
//! gauges[0][name]=a&gauges[0][value]=1      by position
//! gauges[a][value]=1                        by name
//! gauges[][name]=a&gauges[][value]=1        a field that is repeated begins the next one
//! ```
//!
//! Pure: takes bytes, opens nothing.

use super::payload::{Entry, List, Payload};
use super::scalar::Scalar;
use form_urlencoded::parse;
use std::borrow::Cow;
use std::collections::HashMap;

/// Places in the lists by list and key.
type Places<'a> = HashMap<(&'static str, String), usize>;

impl<'a> Payload<'a> {
    /// Reads a form. What has no meaning is ignored, as in JSON.
    pub(super) fn of_form(form: &'a [u8]) -> Self {
        let mut payload = Self::default();
        let mut places = Places::new();
        for (key, value) in parse(form) {
            payload.set(&mut places, &key, Scalar::Text(value));
        }
        payload
    }

    fn set(&mut self, places: &mut Places<'a>, key: &str, value: Scalar<'a>) {
        let (first, rest) = key.split_once('[').unwrap_or((key, ""));
        let parts: Vec<_> = rest.trim_end_matches(']').split("][").collect();
        let list = match first {
            "gauges" => ("gauges", &mut self.gauges),
            "counters" => ("counters", &mut self.counters),
            "measurements" => ("measurements", &mut self.measurements),
            other if rest.is_empty() => {
                if let Some(field) = self.common.field(other) {
                    *field = value;
                }
                return;
            }
            "tags" => return self.common.tags.push(Cow::Owned(parts.concat()), value),
            _ => return,
        };
        match *parts.as_slice() {
            [place, field] => {
                let Some(entry) = entry(list, places, place, field) else { return };
                if let Some(field) = entry.field(field) {
                    *field = value;
                }
            }
            [place, "tags", tag] => {
                let Some(entry) = entry(list, places, place, "tags") else { return };
                entry.tags.push(Cow::Owned(tag.to_owned()), value);
            }
            // Such as `gauges[0][attributes][display_units_long]=ms`.
            [_, _, _, ..] => {}
            // Not a measurement: `gauges=1`.
            _ => {
                let list = list.1;
                (list.is_given, list.is_wrong) = (true, true);
            }
        }
    }
}

/// The entry to which a field belongs.
fn entry<'a, 'l>(
    (name, list): (&'static str, &'l mut List<'a>),
    places: &mut Places<'a>,
    key: &str,
    field: &str,
) -> Option<&'l mut Entry<'a>> {
    list.is_given = true;
    let known = match key {
        "" => {
            let is_taken = |entry: &mut Entry<'a>| entry.field(field).is_some_and(|f| f.is_given());
            list.entries.len().checked_sub(1).filter(|at| !is_taken(&mut list.entries[*at]))
        }
        _ => places.get(&(name, key.to_owned())).copied(),
    };
    let at = match known {
        Some(at) => at,
        None if !list.has_room() => {
            list.omitted += 1;
            return None;
        }
        None => {
            let key = (!key.is_empty()).then(|| key.to_owned());
            if let Some(key) = &key {
                places.insert((name, key.clone()), list.entries.len());
            }
            list.entries.push(Entry { key: key.map(Cow::Owned), ..Entry::default() });
            list.entries.len() - 1
        }
    };
    list.entries.get_mut(at)
}

#[cfg(test)]
mod tests {
    use crate::intake::librato::payload::Payload;

    /// The fields of a form's measurements, in a short form.
    fn read(form: &str) -> Vec<String> {
        let payload = Payload::of_form(form.as_bytes());
        let lists = payload.lists();
        let entries =
            lists.iter().flat_map(|(list, all)| all.entries.iter().map(move |e| (list, e)));
        let shown = entries.map(|(list, entry)| {
            let key = entry.key.as_deref().unwrap_or("-");
            let name = entry.name.text().unwrap().unwrap_or("-");
            format!("{list} {key} {name} {:?}", entry.value.number().unwrap())
        });
        shown.collect()
    }

    #[test]
    fn a_form_has_measurements_by_position_by_name_or_in_order() {
        for (form, expected) in [
            ("", &[][..]),
            (
                "gauges[0][name]=a&gauges%5B0%5D%5Bvalue%5D=1&counters[0][name]=c&counters[0][value]=5",
                &["gauges 0 a Some(1.0)", "counters 0 c Some(5.0)"],
            ),
            ("gauges[cpu.load][value]=0.5", &["gauges cpu.load - Some(0.5)"]),
            (
                "gauges[][name]=a&gauges[][value]=1&gauges[][name]=b&gauges[][value]=2",
                &["gauges - a Some(1.0)", "gauges - b Some(2.0)"],
            ),
            ("x=1&gauges[0][x]=1", &["gauges 0 - None"]),
            (
                "gauges[0][name]=a&gauges[0][value]=1&gauges[0][attributes][color]=red",
                &["gauges 0 a Some(1.0)"],
            ),
            ("gauges[0][name]=a&gauges[0][value]=", &["gauges 0 a None"]),
        ] {
            assert_eq!(read(form), expected, "{form}");
        }
        let payload = Payload::of_form(b"source=web-1&measure_time=17&gauges=1&tags[dc]=eu");
        assert_eq!(payload.common.source.text(), Ok(Some("web-1")));
        assert_eq!(payload.common.time.number(), Ok(Some(17.0)));
        assert!(payload.gauges.is_wrong);
    }
}
