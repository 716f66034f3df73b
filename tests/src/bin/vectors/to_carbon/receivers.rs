//! What Carbon's receivers make of their input: kinds `carbon_recv_line`, `carbon_recv_udp` and
//! `carbon_recv_pickle`.
//!
//! Each line of the input, and each item of a pickle as a line, is given to Zibrato to be written as
//! a pickle. What it writes must be what Carbon has received, and it must refuse the lines over which
//! Carbon ends the connection. Then the received points are sent by the protocol of the case, and
//! must arrive unchanged.

use super::outputs::{Sample, compare, delivered};
use super::pickles::frames;
use super::points::{LONGEST_LINE, Point, carbon_reads, unwritten};
use super::sink::written;
use crate::compare::{Differences, Outcome, path};
use crate::json::{bytes, list, text};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use zibrato::window::Window;
use zibrato::wire::Line;
use zibrato_workers::carbon::Protocol;
use zibrato_workers::{Backend as _, Payload};

/// The characters besides the line feed at which a datagram is split.
const LINE_ENDS: [char; 9] =
    ['\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];

/// Something that a receiver reads.
struct Read {
    line: Vec<u8>,
    /// The point that Carbon reads there by its rules.
    point: Option<Point>,
}

impl Read {
    fn line(line: &[u8]) -> Self {
        Self { line: line.to_vec(), point: carbon_reads(line) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.line).into_owned()
    }
}

/// Runs one case.
pub(crate) fn check(case: &Value) -> anyhow::Result<Outcome> {
    let mut differences = Differences::default();
    if case["input"].get("chunk_lengths").is_some() {
        check_long_lines(case, &mut differences)?;
        return Ok(differences.outcome());
    }
    let chunks: Vec<_> = list(&case["input"], "chunks_hex")?
        .iter()
        .map(|chunk| bytes(chunk.as_str().context("a chunk is not a text")?))
        .collect::<anyhow::Result<_>>()?;
    let (protocol, read) = match text(case, "kind")? {
        "carbon_recv_pickle" => (Protocol::Pickle, items(&chunks.concat())),
        "carbon_recv_udp" => {
            let lines = chunks.iter().flat_map(|chunk| chunk.split(|byte| *byte == b'\n'));
            let lines = lines.filter(|line| !line.is_empty());
            (Protocol::Udp, lines.map(Read::line).collect())
        }
        _ => {
            let all = chunks.concat();
            // What follows the last line feed is not read.
            let lines = all.split_inclusive(|byte| *byte == b'\n');
            let lines = lines.filter_map(|line| line.strip_suffix(b"\n"));
            (Protocol::Tcp, lines.map(Read::line).collect())
        }
    };
    let recorded = list(&case["expect"], "received")?.iter().map(Point::recorded);
    let recorded: Vec<_> = recorded.collect::<anyhow::Result<_>>()?;
    let is_ended =
        case["expect"].get("raised").is_some() || case["expect"]["connection_closed"] == true;
    accepted(&read, recorded.clone(), is_ended, &mut differences)?;
    arrives(&recorded, protocol, &mut differences)?;
    Ok(differences.outcome())
}

/// The items of all frames. A frame that ends the connection has an item that is no point.
fn items(bytes: &[u8]) -> Vec<Read> {
    let mut all = Vec::new();
    for frame in frames(bytes) {
        let items = frame.items.into_iter();
        all.extend(items.map(|item| Read { line: item.line.into_bytes(), point: item.point }));
        if frame.closes {
            all.push(Read::line(b"no list of points"));
        }
    }
    all
}

/// Compares what Zibrato writes for each line with what Carbon has received.
fn accepted(
    read: &[Read],
    mut recorded: Vec<Point>,
    is_ended: bool,
    differences: &mut Differences,
) -> anyhow::Result<()> {
    // Nobody takes an empty line for a point.
    let read: Vec<_> = read.iter().filter(|read| !read.line.trim_ascii().is_empty()).collect();
    let lines = read.iter().map(|read| Payload::new([&*read.line, b"\n"].concat(), 1));
    let written = written(Protocol::Pickle, &[], |_| Ok(lines.collect()))?;
    let mut sent = Vec::new();
    for frame in frames(&written.bytes) {
        ensure!(!frame.closes && frame.is_protocol_2, "a frame is not one of protocol 2");
        sent.extend(frame.items.into_iter().map(|item| item.point.context(item.line)));
    }
    let mut sent = sent.into_iter();
    let mut refused: Vec<&Read> = Vec::new();
    for (read, is_accepted) in read.into_iter().zip(written.accepted) {
        if !is_accepted {
            refused.push(read);
            continue;
        }
        let point = sent.next().context("a point is not written")??;
        if let Some(at) = recorded.iter().position(|other| other.is_same(&point)) {
            recorded.remove(at);
        } else if is_ended && !refused.is_empty() {
            differences
                .by_design("what ends the connection is not sent, so what follows it arrives");
        } else {
            differences.fail(format!("`{}` is sent, and Carbon does not take it", read.text()));
        }
    }
    if is_ended && refused.is_empty() {
        differences.fail("all lines are sent, although Carbon ends the connection");
    }
    for point in recorded {
        let reason = refused.iter().find_map(|read| {
            // A datagram may have other line ends.
            let line = read.text();
            let lines = line.split(|c| LINE_ENDS.contains(&c));
            let mut points = lines.filter_map(|line| carbon_reads(line.as_bytes()));
            let is_it = |other: &Point| point.is_stored_for(other);
            let is_read =
                read.point.as_ref().is_some_and(is_it) || points.any(|point| is_it(&point));
            let original = read.point.as_ref().unwrap_or(&point);
            if is_read { unwritten(&line, original) } else { None }
        });
        match reason {
            Some(reason) => differences.by_design(reason),
            None => {
                differences.fail(format!("{point:?} is received, and Zibrato does not send it"))
            }
        }
    }
    Ok(())
}

/// Sends the points that Carbon has received, and compares what arrives.
fn arrives(
    recorded: &[Point],
    protocol: Protocol,
    differences: &mut Differences,
) -> anyhow::Result<()> {
    let is_sent =
        |point: &&Point| point.value.is_finite() && point.time >= 0.0 && point.time.fract() == 0.0;
    let points: Vec<_> = recorded.iter().filter(is_sent).cloned().collect();
    let sample = |point: &Point| Sample {
        host: String::new(),
        name: point.name.clone(),
        value: point.value,
        time: point.time,
    };
    let samples: Vec<_> = points.iter().map(sample).collect();
    let found = delivered(&samples, protocol, &[])?.points;
    let is_malformed = |point: &Point| {
        let mut tags = point.name.split(';').skip(1);
        tags.any(|tag| {
            tag.split_once('=').is_none_or(|(tag, value)| tag.is_empty() || value.is_empty())
        })
    };
    let (malformed, points): (Vec<_>, Vec<_>) = points.into_iter().partition(is_malformed);
    let is_without_tags = |point: &Point| {
        let is_of = |other: &Point| path(&other.name) == path(&point.name);
        !malformed.iter().any(is_of)
    };
    if !malformed.is_empty() {
        differences.by_design("tags that Carbon cannot parse are not sent");
    }
    let found: Vec<_> = found.into_iter().filter(is_without_tags).collect();
    compare(&samples, &[], &points, &found, differences);
    Ok(())
}

/// Cases with lines that are described by their length: the longest line that Zibrato writes is one
/// that Carbon reads.
fn check_long_lines(case: &Value, differences: &mut Differences) -> anyhow::Result<()> {
    let expect = &case["expect"];
    let lengths: Vec<usize> = list(&case["input"], "chunk_lengths")?
        .iter()
        .map(|length| length.as_u64().and_then(|length| usize::try_from(length).ok()))
        .collect::<Option<_>>()
        .context("a chunk has no length")?;
    let is_too_long = lengths.iter().any(|length| *length > LONGEST_LINE + 1);
    if is_too_long != (expect["connection_closed"] == true) {
        differences.fail(format!("Carbon reads lines of {LONGEST_LINE} bytes, and no longer ones"));
    }
    let received = list(expect, "received")?;
    if received.len() != lengths.iter().filter(|length| !is_too_long && **length > 0).count() {
        differences.fail(format!("{} lines are received", received.len()));
    }
    for length in lengths {
        let parts = "a".repeat(100) + ".";
        let prefix: String = parts.chars().cycle().take(length).collect();
        let mut window = Window::new(1_000, 1_000, 10);
        window.fold_line(&Line::decode(b"info|g|x|1|1|not_specified")?);
        let flags = [format!("--prefix={}", prefix.trim_end_matches('.'))];
        let written = written(Protocol::Tcp, &flags, |carbon| Ok(carbon.payloads(window)))?;
        let longest = written.bytes.split(|byte| *byte == b'\n').map(<[u8]>::len).max();
        match longest {
            Some(0) | None => differences.by_design("names of more than 16,000 bytes are not sent"),
            Some(longest) if longest > LONGEST_LINE => {
                differences.fail(format!("a line of {longest} bytes is written"));
            }
            Some(longest) if longest < length.min(LONGEST_LINE) => {
                differences.fail(format!("a name of {length} bytes has a line of {longest}"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
