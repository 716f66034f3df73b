//! Sentences for the reasons by which input of StatsD is rejected.

/// What is wrong with input that is counted by `reason`. `None` if its sample says that.
pub(super) fn why(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "encoding" => "the name is not UTF-8",
        "event" => "events of DogStatsD are skipped",
        "fields" => {
            "there is no `:` after the name, or a field after the type begins with a digit or a \
             sign, as in 1|c|0.1 without @"
        }
        "future" => "the time after T is more than a day ahead of the broker's clock",
        "gauges" => "there are too many gauges to keep their values; raise --statsd-max-series",
        "member" => "the member of a set is longer than 255 bytes or has control characters",
        "members" => "there are too many distinct members of sets in this second",
        "name" => "of the name nothing remains that a name can contain, or more than 255 bytes",
        "rate" => "the sample rate after @ is not a number above 0 and at most 1",
        "service_check" => "service checks of DogStatsD are skipped",
        "tags" => "tags are empty, invalid, repeated or too many; the value is kept without them",
        "timestamp" => "the time after T is not a whole number of Unix seconds until the year 9999",
        "too_long" => "a line or packet is longer than 64 KiB",
        "truncated" => "the line or packet is not complete",
        "type" => "the type after | is missing or unknown; known ones are c, d, g, h, m, ms and s",
        "value" => "the value is not a finite decimal number, or is a negative time",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::why;
    use crate::intake::statsd::grammar::{Dialect, decode};

    #[test]
    fn a_line_of_a_connection_is_not_called_a_packet() {
        assert_eq!(why("truncated"), Some("the line or packet is not complete"));
    }

    #[test]
    fn each_reason_of_a_line_has_a_sentence() {
        for line in [
            "a",
            ":1|c",
            "\u{e9}:1|c",
            "a:1",
            "a:1|x",
            "a:x|c",
            "a:-1|ms",
            "a:1|c|@2",
            "a:1|g|Tx",
            "a:\u{1}|s",
            "a:1|c|0.1",
            "_e{1,1}:a|b",
            "_sc|a|0",
        ] {
            let mut words = Vec::new();
            decode(line.as_bytes(), Dialect::Statsd, |_, sample| {
                words.extend(sample.err().map(|reason| reason.word()));
            });
            words.iter().for_each(|word| assert!(why(word).is_some(), "{line}: {word}"));
        }
    }
}
