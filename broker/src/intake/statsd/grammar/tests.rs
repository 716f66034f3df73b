//! What each line means, in both dialects.

use super::{Dialect, Reading, Reason, Sample, decode, decode_line, plain};
use proptest::prelude::*;
use std::fmt::Write as _;

/// Each sample as `name kind value`, with `@rate`, `#tags` and `Tms` if it has them; each invalid one as
/// `!reason`.
fn decoded(packet: &[u8], dialect: Dialect) -> Vec<String> {
    let mut all = Vec::new();
    decode(packet, dialect, |_, sample| {
        all.push(sample.map_or_else(|reason| format!("!{}", reason.word()), |s| shown(&s)));
    });
    all
}

fn shown(sample: &Sample<'_>) -> String {
    let text = String::from_utf8_lossy;
    let mut shown = format!("{} {}", text(sample.name), sample.kind.letter());
    let written = match sample.reading {
        Reading::Number { value, rate: 1.0 } => write!(shown, " {value}"),
        Reading::Number { value, rate } => write!(shown, " {value}@{rate}"),
        Reading::Change(value) => write!(shown, " {value:+}"),
        Reading::Member(member) => write!(shown, " {member}"),
    };
    written.unwrap();
    if !sample.tags.is_empty() {
        write!(shown, " #{}", text(sample.tags)).unwrap();
    }
    sample.at_ms.iter().for_each(|at_ms| write!(shown, " T{at_ms}").unwrap());
    shown
}

#[track_caller]
fn check(dialects: &[Dialect], rows: &[(&str, &[&str])]) {
    for (packet, expected) in rows {
        for dialect in dialects {
            assert_eq!(decoded(packet.as_bytes(), *dialect), *expected, "{packet:?} {dialect:?}");
        }
    }
}

const BOTH: [Dialect; 2] = [Dialect::Statsd, Dialect::Dogstatsd];

#[test]
fn a_line_is_a_name_a_value_and_a_type() {
    check(
        &BOTH,
        &[
            ("gorets:1|c", &["gorets c 1"]),
            ("gorets:-5|c", &["gorets c -5"]),
            ("gorets:1.9|c", &["gorets c 1.9"]),
            ("gorets: 7 |c", &["gorets c 7"]),
            ("gorets:+7|c", &["gorets c 7"]),
            ("gorets:99999999999999999999|c", &["gorets c 100000000000000000000"]),
            ("glork:320|ms", &["glork t 0.32"]),
            ("glork:0.25|ms", &["glork t 0.00025"]),
            ("glork:0|ms", &["glork t 0"]),
            ("glork:320|h", &["glork h 320"]),
            ("glork:-320|d", &["glork h -320"]),
            ("glork:3|m", &["glork c 3"]),
            ("gaugor:333|g", &["gaugor g 333"]),
            ("g:1e3|g", &["g g 1000"]),
            ("glork:320|ms ", &["glork t 0.32"]),
            ("glork:320|g ", &["glork g 320"]),
            ("uniques:765|s", &["uniques s 765"]),
            ("u:|s", &["u s 0"]),
            (" a \tb :1|c", &[" a \tb  c 1"]),
        ],
    );
}

#[test]
fn a_line_that_is_invalid_has_a_reason() {
    check(
        &BOTH,
        &[
            ("gorets", &["!fields"]),
            ("EXIT", &["!fields"]),
            ("gorets:1", &["!type"]),
            ("gorets:", &["!type"]),
            ("gorets:1|", &["!type"]),
            ("gorets:3|xyz", &["!type"]),
            ("gorets:3|MS", &["!type"]),
            ("gorets:3|C", &["!type"]),
            ("gorets:3||c", &["!type"]),
            (":1|c", &["!name"]),
            ("gorets:|c", &["!value"]),
            ("gorets:abc|c", &["!value"]),
            ("gorets:0x10|c", &["!value"]),
            ("gorets:1_000|c", &["!value"]),
            ("a:NaN|g", &["!value"]),
            ("a:-inf|c", &["!value"]),
            ("a:Infinity|ms", &["!value"]),
            ("a:1e999|g", &["!value"]),
            ("a:1e308|c|@0.1", &["!value"]),
            ("a:?|g", &["!value"]),
            ("a:  0.11  -0.05|h", &["!value"]),
            ("t:-4|ms", &["!value"]),
            ("gorets:2|c|0.1", &["!fields"]),
            ("gorets:2|c|-", &["!fields"]),
            ("gorets:1|c:2", &["gorets c 1", "!type"]),
            ("u:a\u{1}|s", &["!member"]),
            ("u:a|b|s", &["!type"]),
        ],
    );
}

#[test]
fn rates_are_above_0_and_at_most_1_and_in_any_field() {
    check(
        &BOTH,
        &[
            ("a:1|c|@0.1", &["a c 1@0.1"]),
            ("a:1|c|@ 0.5 ", &["a c 1@0.5"]),
            ("a:1|c|@1", &["a c 1"]),
            ("a:320|ms|@0.1", &["a t 0.32@0.1"]),
            ("a:1|h|#t|@0.1", &["a h 1@0.1 #t"]),
            ("a:1|c|@1e-5", &["a c 1@0.00001"]),
            ("a:2|c|@0", &["!rate"]),
            ("a:2|c|@-0.5", &["!rate"]),
            ("a:2|c|@1.5", &["!rate"]),
            ("a:2|c|@", &["!rate"]),
            ("a:2|c|@abc", &["!rate"]),
            ("a:2|c|@nan", &["!rate"]),
            ("a:2|c|@1e-300", &["!rate"]),
            ("a:2|c|@0:3|c", &["!rate", "a c 3"]),
        ],
    );
}

#[test]
fn a_line_may_have_several_values_and_types() {
    check(
        &BOTH,
        &[
            ("a:1:2:3|c", &["a c 1", "a c 2", "a c 3"]),
            ("a:21:43.2:1657|d|#t", &["a h 21 #t", "a h 43.2 #t", "a h 1657 #t"]),
            ("a:1:x:3|c|@0.5", &["a c 1@0.5", "!value", "a c 3@0.5"]),
            ("a:1|ms:2|ms|@0.5:3|ms", &["a t 0.001", "a t 0.002@0.5", "a t 0.003"]),
            ("a:1|c:2|c:320|ms", &["a c 1", "a c 2", "a t 0.32"]),
            ("a:1|xyz:2|c", &["!type", "a c 2"]),
            ("a:abc:def|s", &["a s abc:def"]),
            ("a:1|c:x:y|s", &["a c 1", "a s x:y"]),
        ],
    );
}

#[test]
fn a_sign_changes_a_gauge_in_one_dialect_only() {
    let rows: [(&str, &[&str], &[&str]); 4] = [
        ("a:-1|g", &["a g -1"], &["a g -1"]),
        ("a:+4|g", &["a g +4"], &["a g 4"]),
        ("a: -2|g", &["a g -2"], &["a g -2"]),
        ("a:5|g", &["a g 5"], &["a g 5"]),
    ];
    for (packet, statsd, dogstatsd) in rows {
        check(&[Dialect::Statsd], &[(packet, statsd)]);
        check(&[Dialect::Dogstatsd], &[(packet, dogstatsd)]);
    }
    let is_change = |dialect| {
        let mut all = Vec::new();
        decode(b"a:-1|g", dialect, |_, sample| all.push(sample.unwrap().reading));
        matches!(all[..], [Reading::Change(-1.0)])
    };
    assert_eq!(BOTH.map(is_change), [true, false]);
}

#[test]
fn fields_come_in_any_order_and_unknown_ones_are_ignored() {
    check(
        &BOTH,
        &[
            ("a:1|c|#addr:0.0.0.0:443", &["a c 1 #addr:0.0.0.0:443"]),
            ("a:1|c|#x:1,#y:2", &["a c 1 #x:1,#y:2"]),
            ("a:1|c|#", &["a c 1"]),
            ("a:1|c|", &["a c 1"]),
            ("a:1|c|#x|", &["a c 1 #x"]),
            ("a:1|c|c:0123ef", &["a c 1"]),
            ("a:0|g|c:f1ce", &["a g 0"]),
            ("a:1|c|c:ci-0123", &["a c 1"]),
            ("a:1|c|e:it-false,cn-web|card:low|#x:1|@0.5", &["a c 1@0.5 #x:1"]),
            ("a:5|g|m:test", &["a g 5"]),
            ("u:1|c|#a:5|c", &["u c 1 #a:5"]),
            ("a:5|g|T1656581400", &["a g 5 T1656581400000"]),
            ("a:5|c|#x|T1", &["a c 5 #x T1000"]),
            ("a:5|g|T0", &["!timestamp"]),
            ("a:5|g|Tx", &["!timestamp"]),
            ("a:5|g|T", &["!timestamp"]),
            ("a:5|g|T1.5", &["!timestamp"]),
            ("a:5|g|T-1", &["!timestamp"]),
            ("a:5|g|T999999999999999999999", &["!timestamp"]),
            ("a:5|g|T18446744073709551615", &["!timestamp"]),
        ],
    );
}

#[test]
fn other_messages_have_reasons_of_their_own() {
    check(
        &BOTH,
        &[
            ("_e{5,4}:title|text", &["!event"]),
            ("_e{5,4}:title|text|#env:dev", &["!event"]),
            ("_sc|n|0", &["!service_check"]),
            ("_sc|Redis|2|#env:dev|m:timed out", &["!service_check"]),
            ("_sc:1|c", &["_sc c 1"]),
            ("_e:1|c", &["_e c 1"]),
        ],
    );
}

#[test]
fn an_invalid_line_does_not_affect_the_others() {
    check(
        &BOTH,
        &[
            ("", &[]),
            ("   \n\n", &[]),
            ("a:1|c\n", &["a c 1"]),
            ("a:1|c\r\nb:1|c\r\n", &["a c 1", "b c 1"]),
            ("a:1|c\nbad\nb:2|c", &["a c 1", "!fields", "b c 2"]),
            ("a:1|c\n:\n|\n\0\nb:2|c", &["a c 1", "!name", "!fields", "!fields", "b c 2"]),
            ("a:1|c\u{2028}b:1|c", &["!type", "a c 1"]),
        ],
    );
    let packet = b"a:1|c\nb\xff:1|c\nc:\xff|g\nc:\xff|s\nd:1|c";
    let samples = ["a c 1", "b\u{fffd} c 1", "!value", "!member", "d c 1"];
    assert_eq!(decoded(packet, Dialect::Statsd), samples);
}

#[test]
fn the_line_of_each_sample_is_known() {
    let mut lines = Vec::new();
    decode(b"a:1:x|c\r\nbad", Dialect::Statsd, |line, sample| lines.push((line, sample.is_ok())));
    assert_eq!(
        lines,
        [(&b"a:1:x|c\r"[..], true), (&b"a:1:x|c\r"[..], false), (&b"bad"[..], false)]
    );
}

#[test]
fn reasons_are_distinct_words() {
    let all = [
        Reason::Encoding,
        Reason::Event,
        Reason::Fields,
        Reason::Member,
        Reason::Name,
        Reason::Rate,
        Reason::ServiceCheck,
        Reason::Timestamp,
        Reason::Type,
        Reason::Value,
    ];
    let words: std::collections::BTreeSet<_> = all.iter().map(|reason| reason.word()).collect();
    assert_eq!(words.len(), all.len());
}

proptest! {
    #[test]
    fn plain_lines_mean_what_they_mean_to_the_whole_grammar(
        line in "[ab_:.\n]{0,3}:[0-9.+ -]{0,18}\\|(c|ms|g|h|m|s|msx|)(\\|@0.1)?(:1)?[\n\r]{0,2}"
    ) {
        if let Some((plain, sample)) = plain(line.as_bytes()) {
            prop_assert_eq!(plain, line.lines().next().unwrap().as_bytes());
            for dialect in BOTH {
                let mut all = Vec::new();
                decode_line(plain, dialect, |sample| all.push(sample));
                prop_assert_eq!(&all, &[Ok(sample)]);
            }
        }
    }

    #[test]
    fn any_bytes_give_valid_samples_of_their_own_line(
        packet in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"ab:|@#\n\rcgmsT01.+-".to_vec())], 0..200,
        ),
    ) {
        for dialect in BOTH {
            decode(&packet, dialect, |line, sample| {
                assert!(!line.contains(&b'\n'));
                let Ok(sample) = sample else { return };
                assert!(!sample.name.is_empty() && line.starts_with(sample.name));
                match sample.reading {
                    Reading::Number { value, rate } => {
                        assert!((value / rate).is_finite() && rate > 0.0 && rate <= 1.0);
                    }
                    Reading::Change(value) => assert!(value.is_finite()),
                    Reading::Member(member) => assert_eq!(zibrato::check_name(member), Ok(())),
                }
            });
        }
    }

    #[test]
    fn lines_between_others_mean_the_same(
        lines in prop::collection::vec("[a-c]{0,2}[:|]?-?[0-9]{0,2}[|:]?(c|ms|g|s)?(\\|@0\\.5|\\|#x:1)?", 1..9),
    ) {
        let whole = decoded(lines.join("\n").as_bytes(), Dialect::Statsd);
        let each: Vec<_> =
            lines.iter().flat_map(|line| decoded(line.as_bytes(), Dialect::Statsd)).collect();
        prop_assert_eq!(whole, each);
    }
}
