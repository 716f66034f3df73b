//! The series in a payload, of which a timer has several lines: splits a payload between series,
//! and names them.
//!
//! Pure.

use super::parts::TimerParts;
use crate::Payload;

/// The halves of a payload; `None` if it has only one series.
pub(super) fn split(payload: &Payload, timer_parts: &TimerParts) -> Option<[Payload; 2]> {
    let lines = lines(&payload.body);
    let series = series(&lines, timer_parts);
    if series.len() == payload.series {
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

/// The first names in a payload, with their tags. The name of a timer has no part.
pub(super) fn names(payload: &Payload, most: usize, timer_parts: &TimerParts) -> Vec<String> {
    let name = |lines: &Vec<&[u8]>| {
        let line = lines.first()?;
        if lines.len() > 1
            && let Some(TimerLine { timer, tags, .. }) = TimerLine::of(line, timer_parts)
        {
            let mark = if tags.is_empty() { "" } else { ";" };
            return Some(format!("{timer}{mark}{tags}"));
        }
        let name = line.split(|byte| *byte == b' ').next()?;
        Some(String::from_utf8_lossy(name).into_owned())
    };
    let lines = lines(&payload.body);
    series(&lines, timer_parts).iter().take(most).filter_map(name).collect()
}

fn lines(body: &[u8]) -> Vec<&[u8]> {
    body.split_inclusive(|byte| *byte == b'\n').collect()
}

/// The lines of each series: those of a timer follow each other in the order of its parts.
fn series<'a>(lines: &[&'a [u8]], timer_parts: &TimerParts) -> Vec<Vec<&'a [u8]>> {
    let mut all: Vec<Vec<&[u8]>> = Vec::new();
    let mut before = None;
    for line in lines {
        let part = TimerLine::of(line, timer_parts);
        match (&part, &before, all.last_mut()) {
            (Some(part), Some(before), Some(last)) if part.follows(before) => last.push(line),
            _ => all.push(vec![line]),
        }
        before = part;
    }
    all
}

/// A line that may belong to a timer.
struct TimerLine<'a> {
    timer: &'a str,
    tags: &'a str,
    /// The index of its part.
    place: usize,
}

impl<'a> TimerLine<'a> {
    fn of(line: &'a [u8], timer_parts: &TimerParts) -> Option<Self> {
        let (name, _) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        let (path, tags) = name.split_once(';').unwrap_or((name, ""));
        let (timer, part) = path.rsplit_once('.')?;
        Some(Self { timer, tags, place: timer_parts.place(part)? })
    }

    fn follows(&self, before: &Self) -> bool {
        self.timer == before.timer && self.tags == before.tags && self.place > before.place
    }
}

#[cfg(test)]
mod tests {
    use super::{names, split};
    use crate::Payload;
    use crate::carbon::TimerParts;

    /// All pieces that cannot be split further.
    fn pieces(body: &str, series: usize) -> Vec<(String, usize)> {
        let (mut open, mut alone) = (vec![Payload::new(body.into(), series)], Vec::new());
        while let Some(payload) = open.pop() {
            match split(&payload, &TimerParts::default()) {
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
        let named = |most| names(&payload, most, &TimerParts::default());
        assert_eq!(named(9), ["t;x=y", "a", "t.count", "z"]);
        assert_eq!(named(1), ["t;x=y"]);
    }

    #[test]
    fn counters_named_like_parts_of_a_timer_are_separate() {
        let lines = ["t.count 1 60\n", "t.sum 2 60\n"];
        assert_eq!(pieces(&lines.concat(), 2), lines.map(|line| (line.to_owned(), 1)));
        // Two series that were merged into one line are counted.
        assert_eq!(pieces("a 1 60\nb 1 60\n", 3).iter().map(|(_, n)| n).sum::<usize>(), 3);
    }
}
