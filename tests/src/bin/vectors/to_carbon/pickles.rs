//! Frames of pickles as Carbon's receiver reads them: with a library, and independent of the product.

use super::points::{Point, python_number};
use serde_pickle::{DeOptions, Value};

/// Carbon closes the connection at a frame that is longer than this, in bytes.
const LONGEST_FRAME: usize = 1 << 20;

/// How a pickle of the protocol begins that each Carbon reads.
const PROTOCOL: &[u8] = b"\x80\x02";

/// A frame.
#[derive(Debug, Default)]
pub(super) struct Frame {
    /// The items that are points, or have the form of one.
    pub(super) items: Vec<Item>,
    /// Whether Carbon ends the connection, after these items.
    pub(super) closes: bool,
    /// Whether it has protocol 2.
    pub(super) is_protocol_2: bool,
}

/// An item of a frame.
#[derive(Debug)]
pub(super) struct Item {
    /// `NAME VALUE TIME`. Numbers that Carbon does not read are texts.
    pub(super) line: String,
    /// `None` if Carbon skips it.
    pub(super) point: Option<Point>,
}

/// All frames up to one that ends the connection. The last one may be cut, and is then omitted.
pub(super) fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut all: Vec<Frame> = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk()
        && all.last().is_none_or(|frame| !frame.closes)
    {
        let length = u32::from_be_bytes(*length) as usize;
        if length > LONGEST_FRAME {
            all.push(Frame { closes: true, ..Frame::default() });
            break;
        }
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        all.push(read(payload));
        bytes = rest;
    }
    all
}

/// Reads a payload. Carbon ignores one that it cannot read.
fn read(payload: &[u8]) -> Frame {
    let mut frame = Frame { is_protocol_2: payload.starts_with(PROTOCOL), ..Frame::default() };
    match serde_pickle::value_from_slice(payload, DeOptions::new().decode_strings()) {
        Ok(Value::List(items) | Value::Tuple(items)) => {
            for item in &items {
                let Some((name, [time, value])) = parts(item) else { continue };
                let Value::String(name) = name else {
                    frame.closes = true;
                    break;
                };
                frame.items.push(Item::new(name, time, value));
            }
        }
        // Nothing else can be iterated over that has points.
        Ok(Value::Bool(_) | Value::F64(_) | Value::I64(_) | Value::Int(_) | Value::None) => {
            frame.closes = true;
        }
        Ok(_) | Err(_) => {}
    }
    frame
}

/// The parts of `(name, (time, value))`.
fn parts(item: &Value) -> Option<(&Value, [&Value; 2])> {
    let [name, numbers] = pair(item)?;
    Some((name, pair(numbers)?))
}

fn pair(value: &Value) -> Option<[&Value; 2]> {
    let (Value::List(all) | Value::Tuple(all)) = value else { return None };
    let [first, second] = &all[..] else { return None };
    Some([first, second])
}

impl Item {
    fn new(name: &str, time: &Value, value: &Value) -> Self {
        let line = format!("{name} {} {}", text(value), text(time));
        let numbers = number(value).zip(number(time));
        let numbers = numbers.filter(|(value, time)| !value.is_nan() && time.is_finite());
        let point = numbers.map(|(value, time)| Point { name: name.to_owned(), value, time });
        Self { line, point }
    }
}

/// A value as a text without blanks.
fn text(value: &Value) -> String {
    match value {
        Value::F64(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::Int(number) => number.to_string(),
        Value::String(text) => text.replace(char::is_whitespace, "_"),
        Value::None => "None".to_owned(),
        other => format!("{other:?}").replace(char::is_whitespace, "_"),
    }
}

/// A number, or a text that Python converts to one.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::F64(number) => Some(*number),
        Value::Bool(is) => Some(f64::from(u8::from(*is))),
        Value::I64(_) | Value::Int(_) => text(value).parse().ok(),
        Value::String(text) => python_number(text.trim()),
        _ => None,
    }
}
