//! Scripts have the meaning of bucky's converters and processor, and limits.

use super::super::{Dropped, Rules, ScriptTime, Series};
use super::{NOW, apply, memory, outcome, statsd, with_script};
use std::time::{Duration, Instant};
use zibrato::Kind;

/// bucky's tuple: host, name, value, time.
type Tuple = (Option<&'static str>, &'static str, f64, f64);

/// What `process` makes of samples: `host name value time` of those that are forwarded.
fn processed(rules: &Rules, samples: &[Tuple]) -> Vec<String> {
    let forwarded = samples.iter().filter_map(|(host, name, value, time)| {
        let host = host.unwrap_or_default();
        let series = Series { protocol: "metricsd", host, ..statsd(name) };
        let script_time = &mut ScriptTime::default();
        let output = rules.apply(series, (*value, *time), NOW, script_time).result.ok()?;
        Some(format!("{} {} {} {}", output.host, output.name, output.value, output.time))
    });
    forwarded.collect()
}

const SAMPLES: [Tuple; 2] = [(Some("h"), "a.b", 1.0, 100.0), (Some("h"), "c", 2.0, 101.0)];

#[test]
fn process_has_the_meaning_of_buckys_processor() {
    let both = &["h a.b 1 100", "h c 2 101"][..];
    let first = &["h a.b 1 100"][..];
    for (body, drop_on_error, expected) in [
        ("[host, name, value, time]", false, both),
        ("if name == \"c\" { return; } [host, name, value, time]", false, first),
        ("if name == \"c\" { throw \"no\"; } [host, name, value, time]", false, both),
        ("if name == \"c\" { throw \"no\"; } [host, name, value, time]", true, first),
        (
            "[\"other.tld\", name + \".x\", value * 2, time.to_int() - 1]",
            false,
            &["other.tld a.b.x 2 99", "other.tld c.x 4 100"],
        ),
        ("[(), name, value.to_int(), time]", false, &[" a.b 1 100", " c 2 101"]),
        // bucky stops at results of the wrong form. Here they are errors.
        ("[]", false, both),
        ("[]", true, &[]),
        ("[host, name, value]", true, &[]),
        ("[host, name, value, time, 1]", true, &[]),
        ("[host, name, \"x\", time]", true, &[]),
        ("[host, name, 0.0 / 0.0, time]", true, &[]),
        ("[host, name, value, -1]", true, &[]),
        (
            "[host, name, value, 253402300799]",
            true,
            &["h a.b 1 253402300799", "h c 2 253402300799"],
        ),
        ("[host, name, value, 253402300800]", true, &[]),
        ("[host, name, value, 1e300]", true, &[]),
        ("[host, \"\", value, time]", true, &[]),
        ("[host, \"a|b\", value, time]", true, &[]),
        ("[1, name, value, time]", true, &[]),
        ("name", true, &[]),
    ] {
        let script = format!("fn process(host, name, value, time) {{ {body} }}");
        let rules = with_script(&format!("drop_on_error = {drop_on_error}"), &script);
        assert_eq!(processed(&rules, &SAMPLES), expected, "{body} {drop_on_error}");
    }
}

#[test]
fn the_host_is_nothing_if_the_sender_names_none() {
    let script =
        "fn process(host, name, value, time) { [\"\", name + type_of(host), value, time] }";
    let rules = with_script("", script);
    let samples = [(None, "a", 1.0, 5.0), (Some("h"), "a", 1.0, 5.0)];
    assert_eq!(processed(&rules, &samples), [" a() 1 5", " astring 1 5"]);
}

/// The example of bucky's manual.
const TIMEDIFF: &str = "
fn process(host, name, value, time) {
    let future = 120; // 2 minutes
    let past = 300;   // 5 minutes
    if time > now() + future || time < now() - past {
        return;
    }
    [host, name, value, time]
}";

#[test]
fn samples_with_a_large_time_offset_are_dropped() {
    let rules = with_script("", TIMEDIFF);
    for (offset, is_kept) in [
        (0.0, true),
        (120.0, true),
        (120.5, false),
        (121.0, false),
        (-300.0, true),
        (-301.0, false),
        (1e9, false),
        (-1.6e9, false),
    ] {
        let kept = processed(&rules, &[(Some("h"), "a", 1.0, NOW + offset)]);
        assert_eq!(!kept.is_empty(), is_kept, "{offset}");
    }
}

#[test]
fn converters_have_the_meaning_of_buckys() {
    let name = |converters: &str, script: &str| {
        let rules = with_script(converters, script);
        outcome(&rules, memory(), 823_009_280.0)
    };
    let kept = |name: &str| format!("info toroid.local {name} 823009280");
    let of_memory = "converters.memory = \"memory\"";
    // The example of bucky's manual.
    let script = "fn memory(sample) { [\"memory\", sample.type_instance] }";
    assert_eq!(name(of_memory, script), kept("memory.inactive"));
    for (body, expected) in [
        ("[\"mem\", \"x\"]", kept("mem.x")),
        ("[sample.plugin, sample.value_name]", kept("memory.value")),
        ("[`${sample.value_type}`, `${sample.interval}`]", kept("1.10.0")),
        (
            "[sample.name, sample.type, sample[\"host\"]]",
            kept("memory.inactive.memory.toroid.local"),
        ),
        ("if sample.value > 1e6 { return; } [\"x\"]", "dropped: script".to_owned()),
        ("()", "dropped: script".to_owned()),
        ("[]", "dropped: script".to_owned()),
        ("[\" \"]", "dropped: script".to_owned()),
        ("[\"\"]", "dropped: script".to_owned()),
        ("[1]", "dropped: script_error".to_owned()),
        ("\"memory\"", "dropped: script_error".to_owned()),
        ("[sample.nothing]", "dropped: script_error".to_owned()),
        ("throw \"no\"", "dropped: script_error".to_owned()),
        ("[\"a|b\"]", "dropped: rule_result".to_owned()),
    ] {
        assert_eq!(name(of_memory, &format!("fn memory(sample) {{ {body} }}")), expected, "{body}");
    }
    // Only the plugins that the table names are converted.
    assert_eq!(name("converters.cpu = \"cpu\"", "fn cpu(s) { [\"x\"] }"), kept("memory.inactive"));
    let rules = with_script("converters.cpu = \"cpu\"", "fn cpu(s) { [] }");
    assert_eq!((rules.converter("cpu"), rules.converter("memory")), (Some("cpu"), None));
}

#[test]
fn rules_see_the_name_of_the_converter_and_process_that_of_the_rules() {
    let rules = with_script(
        "converters.memory = \"memory\"\n\
         rule = [{ match.name = \"mem.*\", rename = \"ram.{1}\", scale = 2 }]",
        "fn memory(sample) { [\"mem\", sample.type_instance] }\n\
         fn process(host, name, value, time) { [host, name.to_upper(), value + 1, time] }",
    );
    assert_eq!(outcome(&rules, memory(), 4.0), "info toroid.local RAM.INACTIVE 9");
}

#[test]
fn scripts_are_bounded() {
    for (body, why) in [
        ("loop { }", "more than 10000 operations"),
        ("f(0)", "Stack overflow"),
        ("let s = \"x\"; loop { s += s; }", "string"),
        ("let a = [1]; loop { a += a; }", "Size of array"),
        ("let a = []; a.pad(1000000000, 1); a", "Size of array"),
        ("let s = \"\"; s.pad(1000000000, 'x'); s", "string"),
        ("let m = #{}; let i = 0; loop { m[`k${i}`] = i; i += 1; }", "operations"),
        ("let x = 1; for i in 0..9999999999999 { x += i; }", "operations"),
        ("sleep(1000)", "sleep is not available"),
        ("sleep(1000.0)", "sleep is not available"),
        ("1 / 0", "Division by zero"),
        ("9223372036854775807 + 1", "overflow"),
        ("exit(5)", "it must return"),
        ("open_file(\"/etc/passwd\")", "Function not found"),
        ("let a = [3, 1, 2]; a.sort(|x, y| 1); a", "it must return"),
    ] {
        let script =
            format!("fn f(x) {{ f(x + 1) }}\nfn process(host, name, value, time) {{\n {body}\n}}");
        let rules = with_script("drop_on_error = true", &script);
        let Err(Dropped::Failed(error)) = apply(&rules, statsd("a"), 1.0).result else {
            panic!("{body}")
        };
        assert!(error.starts_with("process: ") && error.contains(why), "{body}: {error}");
        assert!(!error.contains('\n'), "{error:?}");
    }
    let nested = format!("fn process(h, n, v, t) {{ {}1{} }}", "(".repeat(200), ")".repeat(200));
    let error = super::parse("", &nested).unwrap_err();
    assert!(error.to_lowercase().contains("expression"), "{error}");
}

/// Functions that call their callbacks a million and a thousand million times.
const NESTED: &str = "
fn list() { let a = []; a.pad(1000, 1); a }
fn million() { list().map(|x| list().some(|y| y > 5)); }
fn billion() { list().map(|x| list().map(|y| list().some(|z| z > 5))); }
";

#[test]
fn callbacks_are_bounded_in_process_and_in_converters() {
    for (body, why) in [
        ("million();", "more than 10000 operations"),
        ("billion();", "more than 10000 operations"),
        ("loop { try { billion(); } catch { } }", "more than 10000 operations"),
        ("let a = list(); a.sort(|x, y| { million(); 1 });", "more than 10000 operations"),
        ("let m = #{ a: 1 }; m.filter(|k, v| { million(); true });", "more than 10000 operations"),
        // Each operation is expensive.
        ("let a = list(); loop { a.contains(2) }", "make the function simpler"),
        ("let s = \"x\"; s.pad(4000, 'x'); loop { let t = s + \"\"; t.replace(\"x\", s); }", " "),
    ] {
        let script = format!("{NESTED}fn process(host, name, value, time) {{ {body} }}");
        let begun = Instant::now();
        let rules = with_script("drop_on_error = true", &script);
        let Err(Dropped::Failed(error)) = apply(&rules, statsd("a"), 1.0).result else {
            panic!("{body}")
        };
        assert!(error.starts_with("process: ") && error.contains(why), "{body}: {error}");
        let converter = format!("{NESTED}fn memory(sample) {{ {body} }}");
        let rules = with_script("converters.memory = \"memory\"", &converter);
        assert_eq!(outcome(&rules, memory(), 1.0), "dropped: script_error", "{body}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{body}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_call_begins_with_a_whole_budget_in_each_thread() {
    let script = format!(
        "{NESTED}fn process(host, name, value, time) {{
            if name == \"bad\" {{ million(); }}
            let a = [];
            a.pad(100, 1);
            [host, name, a.map(|x| x + 1).reduce(|sum, x| sum + x, 0.0), time]
        }}"
    );
    let rules = with_script("drop_on_error = true", &script);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let all = || {
                for _ in 0..5 {
                    let bad = outcome(&rules, statsd("bad"), 1.0);
                    assert_eq!(bad, "dropped: script_error");
                    assert_eq!(outcome(&rules, statsd("a"), 1.0), "info  a 200");
                }
            };
            std::thread::Builder::new().spawn_scoped(scope, all).unwrap();
        }
    });
}

#[test]
fn an_error_that_passes_the_sample_has_its_place() {
    let script = "fn process(host, name, value, time) {\n    throw \"no\";\n}";
    let applied = apply(&with_script("", script), statsd("a"), 1.0).error.unwrap();
    assert_eq!(applied.to_string(), "error in process: line 2, column 5: Runtime error: no");
}

#[test]
fn the_values_of_timers_and_sets_cannot_be_changed() {
    let script =
        "fn process(host, name, value, time) { [host, \"new\", value * factor(name), time] }
                  fn factor(name) { if name == \"same\" { 1 } else { 2 } }";
    let rules = with_script("drop_on_error = true", script);
    for (kind, is_fixed) in [
        (Kind::Counter, false),
        (Kind::Gauge, false),
        (Kind::Histogram, true),
        (Kind::Set, true),
        (Kind::Timer, true),
    ] {
        let outcome = |name| outcome(&rules, Series { kind, ..statsd(name) }, 3.0);
        assert_eq!(outcome("same"), "info  new 3");
        let expected = if is_fixed { "dropped: script_error" } else { "info  new 6" };
        assert_eq!(outcome("other"), expected, "{kind:?}");
    }
}
