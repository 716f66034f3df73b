//! The series in a payload: splits a payload between series, and names them. A timer has several
//! lines, and a gauge may have.
//!
//! Pure.

use super::encode::Encoder;
use crate::Payload;
use zibrato::Kind;

/// The halves of a payload; `None` if it has only one series.
pub(super) fn split(payload: &Payload, encoder: &Encoder) -> Option<[Payload; 2]> {
    let lines = lines(&payload.body);
    let series = if encoder.naming.is_plain() { series(&lines, encoder) } else { Vec::new() };
    if !series.is_empty() && series.len() == payload.series {
        let (left, right) = series.split_at(series.len() / 2);
        if left.is_empty() {
            return None;
        }
        let half = |series: &[Vec<&[u8]>]| Payload::new(series.concat().concat(), series.len());
        return Some([half(left), half(right)]);
    }
    // Some lines represent several series, or counters have names like the parts of a timer. Each
    // line is tried separately, and the number of series is divided evenly.
    let (left, right) = lines.split_at(lines.len() / 2);
    if left.is_empty() {
        return None;
    }
    let series = payload.series * left.len() / lines.len();
    let half = |lines: &[&[u8]], series| Payload::new(lines.concat(), series);
    Some([half(left, series), half(right, payload.series - series)])
}

/// The first names in a payload, with their tags. A name of several lines has no part.
pub(super) fn names(payload: &Payload, most: usize, encoder: &Encoder) -> Vec<String> {
    let name = |lines: &Vec<&[u8]>| {
        let line = lines.first()?;
        if lines.len() > 1
            && let Some(last) = lines.last()
            && let Some(part) =
                parts(line, encoder).iter().find(|part| part.is_before(last, encoder))
        {
            let mark = if part.tags.is_empty() { "" } else { ";" };
            return Some(format!("{}{mark}{}", part.base, part.tags));
        }
        let name = line.split(|byte| *byte == b' ').next()?;
        Some(String::from_utf8_lossy(name).into_owned())
    };
    let lines = lines(&payload.body);
    let series = match encoder.naming.is_plain() {
        true => series(&lines, encoder),
        false => lines.into_iter().map(|line| vec![line]).collect(),
    };
    series.iter().take(most).filter_map(name).collect()
}

fn lines(body: &[u8]) -> Vec<&[u8]> {
    body.split_inclusive(|byte| *byte == b'\n').collect()
}

/// The lines of each series, which follow each other in the order of its parts.
fn series<'a>(lines: &[&'a [u8]], encoder: &Encoder) -> Vec<Vec<&'a [u8]>> {
    let mut all: Vec<Vec<&[u8]>> = Vec::new();
    // What the lines of the last series may be.
    let mut before: Vec<Part<'_>> = Vec::new();
    for line in lines {
        let parts = parts(line, encoder);
        let next: Vec<_> =
            parts.iter().filter(|part| before.iter().any(|b| part.follows(b))).copied().collect();
        match all.last_mut() {
            Some(last) if !next.is_empty() => {
                last.push(line);
                before = next;
            }
            _ => {
                all.push(vec![line]);
                before = parts;
            }
        }
    }
    all
}

/// A part of a timer or of a gauge, to which a line may belong.
#[derive(Debug, Clone, Copy)]
struct Part<'a> {
    kind: Kind,
    /// The path of the series.
    base: &'a str,
    tags: &'a str,
    /// The index of the part.
    place: usize,
}

/// All parts to which a line may belong.
fn parts<'a>(line: &'a [u8], encoder: &Encoder) -> Vec<Part<'a>> {
    let line = std::str::from_utf8(line).ok().and_then(|line| line.split_once(' '));
    let Some((name, _)) = line else { return Vec::new() };
    let (path, tags) = name.split_once(';').unwrap_or((name, ""));
    let part = |kind, base, place| Part { kind, base, tags, place };
    let gauge = |base, suffix| {
        let place = encoder.gauge_parts.of(base).iter().position(|part| part.suffix() == suffix)?;
        Some(part(Kind::Gauge, base, place))
    };
    let mut all: Vec<_> = gauge(path, "").into_iter().collect();
    if let Some((base, suffix)) = path.rsplit_once('.') {
        all.extend(gauge(base, suffix));
        all.extend(encoder.timer_parts.place(suffix).map(|at| part(Kind::Timer, base, at)));
    }
    all
}

impl Part<'_> {
    fn follows(&self, before: &Part<'_>) -> bool {
        self.kind == before.kind
            && self.base == before.base
            && self.tags == before.tags
            && self.place > before.place
    }

    /// Whether a line may be a later part of the same series.
    fn is_before(&self, line: &[u8], encoder: &Encoder) -> bool {
        parts(line, encoder).iter().any(|part| part.follows(self))
    }
}

#[cfg(test)]
mod tests {
    use super::{names, split};
    use crate::Payload;
    use crate::carbon::encode::Encoder;

    fn encoder() -> Encoder {
        Encoder { gauge_parts: "last,max,count".parse().unwrap(), ..Encoder::default() }
    }

    /// All pieces that cannot be split further.
    fn pieces(body: &str, series: usize) -> Vec<(String, usize)> {
        let (mut open, mut alone) = (vec![Payload::new(body.into(), series)], Vec::new());
        while let Some(payload) = open.pop() {
            match split(&payload, &encoder()) {
                Some([left, right]) => open.extend([right, left]),
                None => alone.push((String::from_utf8(payload.body).unwrap(), payload.series)),
            }
        }
        alone
    }

    #[test]
    fn a_timer_is_not_split_and_each_piece_is_one_series() {
        let series = [
            "a 1 60\n",
            "t.count;x=y 1 60\nt.sum;x=y 2 60\nt.p99;x=y 2 60\n",
            "t.count 1 60\nt.sum 2 60\n",
            "u.count 1 60\nu.mean 2 60\n",
            "z 1 60\n",
        ];
        let expected: Vec<_> = series.iter().map(|lines| ((*lines).to_owned(), 1)).collect();
        assert_eq!(pieces(&series.concat(), 5), expected);
    }

    #[test]
    fn each_series_is_named_once() {
        let body = "t.count;x=y 1 60\nt.sum;x=y 2 60\na 1 60\nt.count 1 60\nz 1 60\n";
        let payload = Payload::new(body.into(), 4);
        let named = |most| names(&payload, most, &encoder());
        assert_eq!(named(9), ["t;x=y", "a", "t.count", "z"]);
        assert_eq!(named(1), ["t;x=y"]);
    }

    #[test]
    fn a_gauge_is_not_split() {
        let series = [
            "g 1 60\ng.max 3 60\ng.count 2 60\n",
            "g.count;x=y 2 60\n",
            "h;x=y 1 60\nh.max;x=y 1 60\nh.count;x=y 1 60\n",
            "h.max 5 60\nh.max.max 5 60\nh.max.count 1 60\n",
            "t.count 1 60\nt.sum 2 60\nt.max 2 60\n",
        ];
        let expected: Vec<_> = series.iter().map(|lines| ((*lines).to_owned(), 1)).collect();
        assert_eq!(pieces(&series.concat(), 5), expected);
        let named = names(&Payload::new(series.concat().into(), 5), 9, &encoder());
        assert_eq!(named, ["g", "g.count;x=y", "h;x=y", "h.max", "t"]);
        // By default only calls in flight have several lines.
        let body = "a 1 60\na.max 1 60\nb.in_flight 0 60\nb.in_flight.max 50 60\n";
        let named = names(&Payload::new(body.into(), 3), 9, &Encoder::default());
        assert_eq!(named, ["a", "a.max", "b.in_flight"]);
    }

    #[test]
    fn counters_named_like_parts_of_a_timer_are_separate() {
        let lines = ["t.count 1 60\n", "t.sum 2 60\n"];
        assert_eq!(pieces(&lines.concat(), 2), lines.map(|line| (line.to_owned(), 1)));
        // Two series that were merged into one line are counted.
        assert_eq!(pieces("a 1 60\nb 1 60\n", 3).iter().map(|(_, n)| n).sum::<usize>(), 3);
    }
}
