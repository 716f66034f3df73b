//! Sorts many series by name.
//!
//! Pure. Names of a window often have long common beginnings, and comparing two of them reads four
//! places in memory that no cache has. So eight bytes of each name are compared as a number beside
//! its index, and the next eight bytes only among series whose first ones are equal.

use super::Series;

/// Number of bytes that are compared at once.
const KEY_BYTES: usize = 8;

/// Maximum number of series with an equal beginning that are compared directly.
const FEW: usize = 16;

/// Some bytes of the name, and the index of the series.
type Key = (u64, u32);

/// The series in the order of [`Series::order`]. There are at most `u32::MAX`.
pub(super) fn sorted(series: Vec<Series>) -> Vec<Series> {
    let mut keys: Vec<Key> = (0..series.len() as u32).map(|at| (0, at)).collect();
    sort(&mut keys, &series, 0);
    let mut series: Vec<_> = series.into_iter().map(Some).collect();
    keys.into_iter().filter_map(|(_, at)| series.get_mut(at as usize)?.take()).collect()
}

/// Sorts series whose names are equal up to the byte at this index.
fn sort(keys: &mut [Key], series: &[Series], begin: usize) {
    let of = |at: u32| &series[at as usize];
    for (key, at) in &mut *keys {
        *key = bytes(&of(*at).name, begin);
    }
    keys.sort_unstable_by_key(|(key, _)| *key);
    for equal in keys.chunk_by_mut(|(a, _), (b, _)| a == b) {
        // A name that ends here has a zero as its last byte.
        let has_ended = equal[0].0 as u8 == 0;
        if equal.len() > FEW && !has_ended {
            sort(equal, series, begin + KEY_BYTES);
        } else if equal.len() > 1 {
            equal.sort_unstable_by(|(_, a), (_, b)| of(*a).order().cmp(&of(*b).order()));
        }
    }
}

/// Eight bytes of a name as a number with the same order, filled up with zeros.
fn bytes(name: &str, begin: usize) -> u64 {
    let rest = name.as_bytes().get(begin..).unwrap_or_default();
    let mut key = [0; KEY_BYTES];
    let length = rest.len().min(KEY_BYTES);
    key[..length].copy_from_slice(&rest[..length]);
    u64::from_be_bytes(key)
}

#[cfg(test)]
mod tests {
    use super::super::Window;
    use crate::wire::Line;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn series_are_in_order_whatever_their_names_have_in_common(
            all in prop::collection::vec(
                ("[cg]", "(same\\.beginning\\.|same|ö|)([ab.]{0,3}|n{20}[ab]{0,2})x", "[rs]{0,2}"),
                1..200,
            ),
        ) {
            let mut window = Window::new(0, 60_000, 1_000);
            for (kind, name, source) in &all {
                let line = format!("i|{kind}|{name}|1|1|{source}");
                window.fold_line(&Line::decode(line.as_bytes()).unwrap());
            }
            let length = window.len();
            let series = window.into_series();
            prop_assert_eq!(series.len(), length);
            prop_assert!(series.is_sorted_by(|a, b| a.order() < b.order()));
        }
    }
}
