//! Packets and what they publish, recorded from the metric classes of bucky with its defects
//! repaired. `vectors.jsonl` has one case per line: `steps` are packets, times that pass, and
//! publishing; `expect` has an item for each error and for each publishing.

use super::decode::{DecodeError, decode};
use super::handlers::{Handlers, full_name};
use super::series::{AllMetrics, MAX_STATISTICS, Statistic};
use serde_json::Value;
use std::time::Duration;

const START_MS: u64 = 1_700_000_000_000;

/// The error as the file calls it.
const fn error_name(error: DecodeError) -> &'static str {
    match error {
        DecodeError::Magic => "bad_magic",
        DecodeError::String => "truncated_string",
        DecodeError::Terminator => "missing_nul",
        DecodeError::Encoding => "bad_utf8",
        DecodeError::Kind => "bad_metric_type",
        DecodeError::Action => "bad_action",
        DecodeError::NumberType => "bad_number_type",
        DecodeError::Number => "truncated_number",
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

fn take(metrics: &mut AllMetrics, packet: &[u8], now_ms: u64) -> Result<(), DecodeError> {
    let (host, changes) = decode(packet)?;
    for change in changes {
        metrics.apply(host, &change?, now_ms).unwrap();
    }
    Ok(())
}

/// The Graphite names of all statistics, with their values.
fn publish(metrics: &mut AllMetrics, prefix: Option<&str>, now_ms: u64) -> Vec<(String, f64)> {
    let mut all = Vec::new();
    metrics.publish_all(now_ms, &mut |Statistic { source, name, value }| {
        let full = full_name(source, name);
        let name = prefix.map_or(full.clone(), |prefix| format!("{prefix}.{full}"));
        all.push((name, value));
    });
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn check(case: &Value) {
    let mut now_ms = START_MS;
    let handlers = Handlers::new(Vec::new(), Duration::from_secs(10));
    let day = Duration::from_secs(86_400);
    let mut metrics = AllMetrics::new(handlers, day, MAX_STATISTICS, now_ms);
    let mut expected = case["expect"].as_array().unwrap().iter();
    for step in case["steps"].as_array().unwrap() {
        if let Some(hex) = step["packet_hex"].as_str() {
            if let Err(error) = take(&mut metrics, &bytes(hex), now_ms) {
                let expected = expected.next().unwrap();
                assert_eq!(expected["protocol_error"], error_name(error), "{case}");
            }
        } else if let Some(seconds) = step["advance_s"].as_u64() {
            now_ms += seconds * 1_000;
        } else {
            let samples = expected.next().unwrap()["samples"].as_array().unwrap().clone();
            let sample = |sample: Value| {
                assert_eq!(sample[2].as_f64(), Some(now_ms as f64 / 1e3));
                (sample[0].as_str().unwrap().to_owned(), sample[1].as_f64().unwrap())
            };
            let mut samples: Vec<_> = samples.into_iter().map(sample).collect();
            samples.sort_by(|a, b| a.0.cmp(&b.0));
            let found = publish(&mut metrics, case["prefix"].as_str(), now_ms);
            assert_eq!(found.len(), samples.len(), "{case} {found:?}");
            for (found, expected) in found.iter().zip(&samples) {
                assert_eq!(found.0, expected.0, "{case}");
                let error = (found.1 - expected.1).abs();
                assert!(error <= expected.1.abs() * 1e-14, "{case} {found:?}");
            }
        }
    }
    assert_eq!(expected.next(), None, "{case}");
}

#[test]
fn packets_publish_what_was_recorded() {
    let cases = include_str!("vectors.jsonl").lines();
    cases.map(|line| serde_json::from_str(line).unwrap()).for_each(|case| check(&case));
}

#[test]
fn packets_that_ended_bucky_are_read_or_rejected() {
    let long = [&b"\xaa\0"[..], &[0x78; 43_520], b"\0\x10"].concat();
    for (packet, expected) in [
        (&bytes("aa000168001000016100413ff8000000000000")[..], Ok(())),
        (&bytes("ab00016800"), Err(DecodeError::Magic)),
        (b"\xaa", Err(DecodeError::String)),
        (b"", Err(DecodeError::Magic)),
        (&long, Err(DecodeError::Terminator)),
    ] {
        let handlers = Handlers::new(Vec::new(), Duration::from_secs(10));
        let mut metrics =
            AllMetrics::new(handlers, Duration::from_secs(60), MAX_STATISTICS, START_MS);
        assert_eq!(take(&mut metrics, packet, START_MS), expected);
    }
}
