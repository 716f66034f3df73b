//! A publisher stops, and `zibrato-slack` says so in a channel; it returns, and the thread of that
//! message says so too.

use std::time::Duration;
use zibrato::Zibrato;
use zibrato_tests::fake::FakeSlack;
use zibrato_tests::{Broker, DEADLINE, Signal, wait_until};

const RULES: &str = "
[[rule]]
name = 'seen'
metric = 'jobs.done'
above = 0
rearm = 0

[[rule]]
name = 'gone'
metric = 'jobs.done'
absent = true
for = 3
mention = ['@here']
";

fn publisher(broker: &Broker, source: &str) -> Zibrato {
    let builder = Zibrato::builder().port(broker.port()).source(source);
    builder.interval(Duration::from_millis(50)).build().unwrap()
}

#[test]
fn a_publisher_that_stops_is_missed_and_its_return_is_told_in_the_thread() {
    let (slack, broker) = (FakeSlack::start().unwrap(), Broker::start());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(folder.path().join("rules.toml"), RULES).unwrap();
    std::fs::write(folder.path().join("token"), FakeSlack::TOKEN).unwrap();
    let (rules, state, token) = (path("rules.toml"), path("alerts.json"), path("token"));
    let (letters, api) = (path("letters"), slack.api_url());
    let flags = ["--mode", "alert", "--alert-rules", &rules, "--alert-state", &state];
    let to = ["--token-file", &token, "--channel", "#metrics", "--api-url", &api];
    let more = ["--dead-letters", &letters, "--flush", "1", "--pace", "0"];
    let mut worker = broker.worker("zibrato-slack", &[&flags[..], &to, &more].concat());
    // Another publisher, so that there are windows all the time.
    let others = publisher(&broker, "web-2");
    let heart = others.counter("info", "heart");
    let of_rule = |rule: &str| -> Vec<_> {
        let stored = slack.stored(FakeSlack::CHANNEL).into_iter();
        stored.filter(|message| message.text.contains(&format!("{rule}: jobs.done"))).collect()
    };
    let work = |what: &str, jobs: Option<&Zibrato>, done: &dyn Fn() -> bool| {
        let jobs = jobs.map(|jobs| jobs.counter("info", "jobs.done"));
        wait_until(DEADLINE, what, || {
            heart.increment(1);
            jobs.iter().for_each(|jobs| jobs.increment(1));
            done()
        });
    };
    let jobs = publisher(&broker, "web-1");
    work("the series", Some(&jobs), &|| !of_rule("FIRING seen").is_empty());
    assert!(of_rule("gone").is_empty());
    drop(jobs);
    work("its absence", None, &|| !of_rule("FIRING gone").is_empty());
    let [alert] = &of_rule("gone")[..] else { panic!("{:?}", of_rule("gone")) };
    assert!(alert.text.starts_with("<!here> ") && alert.text.ends_with("on web-1 has no data"));
    assert!(alert.thread_ts.is_none());
    let jobs = publisher(&broker, "web-1");
    work("its return", Some(&jobs), &|| of_rule("RESOLVED gone").len() == 2);
    let all = of_rule("gone");
    let [message, reply] = &all[..] else { panic!("{all:?}") };
    assert_eq!((&message.ts, message.edited.is_some()), (&alert.ts, true));
    assert_eq!(reply.thread_ts.as_ref(), Some(&message.ts));
    for one in [message, reply] {
        assert!(one.text.ends_with("RESOLVED gone: jobs.done on web-1 is back again"), "{one:?}");
    }
    assert!(worker.stop(Signal::TERM).success());
    assert_eq!(of_rule("gone").len(), 2);
}
