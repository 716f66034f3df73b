//! The parts of CollectD's datagrams, as far as rules about differences need them. Independent of
//! the product.

use crate::compare::is_equal;
use std::collections::BTreeMap;
use zibrato_broker::fuzzing::Source;

/// A list of values in a datagram.
#[derive(Debug, Clone, Default)]
pub(super) struct List {
    /// Host, plugin, its instance, type, its instance; `None` if there was no such part.
    texts: [Option<Vec<u8>>; 5],
    /// In seconds.
    time: Option<f64>,
    kinds: Vec<u8>,
    numbers: Vec<[u8; 8]>,
    /// The values that it should give, one for each data source, with its kind. Rates are computed with fractions of
    /// seconds, since the last reading that was older.
    values: Vec<Option<(u8, f64)>>,
    /// Whether a time of this identity, up to this list, is not in whole seconds.
    is_fractional: bool,
    /// Whether a list of this identity, up to this one, was not newer than the one before it.
    is_late: bool,
    /// Whether bucky does not read it, nor what follows in the datagram.
    is_refused: bool,
}

impl List {
    fn text(&self, at: usize) -> &[u8] {
        self.texts[at].as_deref().unwrap_or_default()
    }

    pub(super) fn plugin(&self) -> &[u8] {
        self.text(1)
    }

    pub(super) const fn has_plugin_instance(&self) -> bool {
        self.texts[2].is_some()
    }

    pub(super) const fn sources(&self) -> usize {
        self.kinds.len()
    }

    pub(super) const fn is_fractional(&self) -> bool {
        self.is_fractional
    }

    pub(super) const fn is_late(&self) -> bool {
        self.is_late
    }

    /// Whether it gives this value.
    pub(super) fn gives(&self, value: f64) -> bool {
        self.values.iter().flatten().any(|(_, given)| is_equal(*given, value))
    }

    /// Whether it gives this value, and the value is a rate.
    pub(super) fn gives_rate(&self, value: f64) -> bool {
        let mut rates = self.values.iter().flatten().filter(|(kind, _)| *kind != 1);
        rates.any(|(_, given)| is_equal(*given, value))
    }

    /// Whether it contains this reading as it is.
    pub(super) fn contains(&self, value: f64) -> bool {
        self.numbers.iter().any(|number| f64::from_le_bytes(*number) == value)
    }
}

/// A datagram.
#[derive(Debug, Default)]
pub(super) struct Datagram {
    pub(super) lists: Vec<List>,
    /// The number of lists before the first part or list that bucky does not read.
    pub(super) read_by_bucky: usize,
    pub(super) is_signed: bool,
    /// Whether there is an encrypted part, and something else.
    pub(super) has_encrypted_among_others: bool,
    pub(super) has_inner_nul: bool,
}

impl Datagram {
    /// Reads the parts up to one whose length is wrong.
    pub(super) fn read(datagram: &[u8]) -> Self {
        let (mut found, mut list) = (Self::default(), List::default());
        let (mut rest, mut parts, mut encrypted, mut ends) = (datagram, 0, 0, None);
        while let [a, b, c, d, after @ ..] = rest {
            let kind = u16::from_be_bytes([*a, *b]);
            let length = usize::from(u16::from_be_bytes([*c, *d]));
            let Some((payload, next)) =
                length.checked_sub(4).and_then(|length| after.split_at_checked(length))
            else {
                break;
            };
            (rest, parts) = (next, parts + 1);
            let number = payload.try_into().map(u64::from_be_bytes);
            match kind {
                0 | 2..=5 => {
                    let at = usize::from(kind.saturating_sub(1));
                    let Some((0, text)) = payload.split_last() else { break };
                    found.has_inner_nul |= text.contains(&0);
                    list.texts[at] = Some(text.to_vec());
                }
                1 => list.time = number.ok().map(|seconds| seconds as f64),
                8 => list.time = number.ok().map(|time| time as f64 / f64::from(1 << 30)),
                6 => {
                    let Some(values) = values(payload) else { break };
                    (list.kinds, list.numbers) = values;
                    found.lists.push(list.clone());
                }
                7 | 9 | 0x100 | 0x101 => {}
                0x200 => found.is_signed |= parts == 1,
                0x210 => encrypted += 1,
                _ => ends = ends.or(Some(found.lists.len())),
            }
        }
        found.has_encrypted_among_others = encrypted > 0 && (parts > 1 || !rest.is_empty());
        found.read_by_bucky = ends.unwrap_or(found.lists.len());
        found
    }

    /// The latest time, in seconds.
    pub(super) fn latest(&self) -> Option<f64> {
        self.lists.iter().filter_map(|list| list.time).reduce(f64::max)
    }

    /// The lists after the first part or list that bucky does not read, which it does not read
    /// either, though they are valid.
    pub(super) fn after_the_end_of_bucky(&self) -> impl Iterator<Item = &List> {
        let first = self.lists.iter().position(|list| list.is_refused);
        let from = first.unwrap_or(usize::MAX).min(self.read_by_bucky);
        self.lists.iter().skip(from).filter(|list| !list.is_refused)
    }
}

fn values(payload: &[u8]) -> Option<(Vec<u8>, Vec<[u8; 8]>)> {
    let ([a, b], rest) = payload.split_first_chunk()?;
    let count = usize::from(u16::from_be_bytes([*a, *b]));
    let (kinds, numbers) = rest.split_at_checked(count)?;
    let numbers: Vec<_> =
        numbers.chunks(8).map(|number| number.try_into().ok()).collect::<Option<_>>()?;
    (numbers.len() == count).then(|| (kinds.to_vec(), numbers))
}

/// The last readings of each identity.
#[derive(Debug, Default)]
pub(super) struct History(BTreeMap<[Vec<u8>; 5], Past>);

#[derive(Debug, Default)]
struct Past {
    last: Option<(f64, Vec<[u8; 8]>)>,
    is_fractional: bool,
    is_late: bool,
}

impl History {
    /// Computes the values of the lists of a datagram.
    pub(super) fn add(
        &mut self,
        datagram: &mut Datagram,
        types: &BTreeMap<String, Vec<Source>>,
        counter_eq_derive: bool,
    ) {
        for list in &mut datagram.lists {
            let kinds = kinds(list, types, counter_eq_derive);
            let (Some(kinds), Some(time)) = (kinds, list.time) else {
                list.is_refused = true;
                continue;
            };
            let key = [0, 1, 2, 3, 4].map(|at| list.text(at).to_vec());
            let past = self.0.entry(key).or_default();
            let is_newer = past.last.as_ref().is_none_or(|(last, _)| time > *last);
            past.is_late |= !is_newer;
            past.is_fractional |= time.fract() != 0.0;
            list.is_late = past.is_late;
            list.is_fractional = past.is_fractional;
            let value = |(at, kind): (usize, &u8)| {
                let new = list.numbers[at];
                let before = past.last.as_ref().filter(|_| is_newer);
                let rate = |change: f64| before.map(|(last, _)| change / (time - last));
                let old = before.map_or([0; 8], |(_, numbers)| numbers[at]);
                let (old, whole) = (u64::from_be_bytes(old), u64::from_be_bytes(new));
                let value = match kind {
                    0 if whole < old && old < 1 << 32 => rate((whole + (1 << 32) - old) as f64),
                    0 => rate(whole.wrapping_sub(old) as f64),
                    1 => Some(f64::from_le_bytes(new)),
                    2 => rate(
                        (i128::from(whole.cast_signed()) - i128::from(old.cast_signed())) as f64,
                    ),
                    _ => rate(whole as f64),
                };
                value.map(|value| (*kind, value))
            };
            list.values = kinds.iter().enumerate().map(value).collect();
            if is_newer {
                past.last = Some((time, list.numbers.clone()));
            }
        }
    }
}

/// The kinds of the values as types.db has them, if bucky reads the list.
fn kinds(
    list: &List,
    types: &BTreeMap<String, Vec<Source>>,
    counter_eq_derive: bool,
) -> Option<Vec<u8>> {
    let is_text = |text: &Option<Vec<u8>>| {
        text.as_deref().is_none_or(|text| std::str::from_utf8(text).is_ok())
    };
    if list.texts[1].is_none() || !list.texts.iter().all(is_text) {
        return None;
    }
    let sources = types.get(std::str::from_utf8(list.text(3)).ok()?)?;
    let is_one = |(sent, (_, kind, ..)): (&u8, &Source)| {
        sent == kind || counter_eq_derive && [*sent, *kind].iter().all(|kind| [0, 2].contains(kind))
    };
    let fits = sources.len() == list.kinds.len() && list.kinds.iter().zip(sources).all(is_one);
    fits.then(|| sources.iter().map(|(_, kind, ..)| *kind).collect())
}
