//! Rules files that are read, and mistakes with their place.

use super::parse;
use crate::slack::alert::rules::Condition;
use crate::slack::alert::value::Function;

const RULE: &str = "[[rule]]\nname = 'r'\nmetric = '*'\n";

#[test]
fn every_key_is_read() {
    let rules = parse(
        "group_above = 3\nzone = 'UTC'\n\
         [[rule]]\nname = 'web.slow'\nmetric = 'web.*'\nsource = ['web-?', { regex = '^db' }]\n\
         kind = 'timer'\ntags = { env = 'prod' }\nabove = 0.2\nclear = 0.1\nfor = 300\n\
         summary = 'p95'\nrearm = 900\nmention = ['@here', 'U012ABCDE', 'S012ABCDE']\n\
         runbook = 'https://wiki.example/slow'\n\
         [[rule]]\nname = 'quiet'\nmetric = 'beat'\nabsent = true\nrearm = 0\n\
         [[mute]]\nrules = 'web.*'\ndays = ['sat', 'sun']\nfrom = '22:00'\nto = '07:00'\n\
         only_mentions = true\n",
    )
    .unwrap();
    assert_eq!((rules.group_above, rules.rules.len(), rules.mutes.len()), (3, 2, 1));
    let [slow, quiet] = &rules.rules[..] else { panic!() };
    assert_eq!(slow.condition, Condition::Above { limit: 0.2, clear: 0.1 });
    assert_eq!((slow.for_ms, slow.rearm_ms), (300_000, 900_000));
    assert_eq!(slow.summary, Some(Function::P95));
    assert_eq!(slow.mentions, ["<!here>", "<@U012ABCDE>", "<!subteam^S012ABCDE>"]);
    assert_eq!((quiet.condition, quiet.rearm_ms), (Condition::Absent, 0));
    assert_eq!(parse(&format!("{RULE}below = 5\n")).unwrap().rules[0].rearm_ms, 600_000);
}

#[test]
fn a_mistake_has_its_place_and_a_remedy() {
    let rule = |more: &str| format!("{RULE}{more}");
    for (text, expected) in [
        (String::new(), "line 1, column 1: there is no rule; write [[rule]]"),
        (rule(""), "line 1, column 1: the rule has no condition; add above"),
        (rule("above = 1\nbelow = 2"), "line 1, column 1: above, below and absent exclude"),
        (rule("above = '1'"), "line 4, column 9: invalid type: string \"1\", expected a number"),
        (rule("above = nan"), "line 4, column 9: expected a finite number"),
        (rule("abov = 1"), "did you mean `above`?"),
        (rule("above = 1\nclear = 2"), "line 5, column 9: `clear` of a rule with `above`"),
        (rule("below = 2\nclear = 1"), "line 5, column 9: `clear` of a rule with `below`"),
        (rule("absent = true\nclear = 1"), "line 5, column 9: a rule with `absent` has no"),
        (rule("above = 1\nfor = -1"), "line 5, column 7: expected seconds from 0 to 604800"),
        (rule("above = 1\nsummary = 'avarage'"), "did you mean average?"),
        (rule("above = 1\nkind = 'timers'"), "line 5, column 8: expected one of counter, gauge"),
        (rule("above = 1\nmention = ['@bob']"), "line 5, column 12: expected @here"),
        (rule("above = 1\nrunbook = 'wiki'"), "line 5, column 11: expected a link"),
        (rule("above = 1\nsource = { regex = '(' }"), "invalid regular expression"),
        (rule("above = 1\nsource = []"), "the list is empty"),
        (rule("above = 1\n") + &rule("above = 2"), "line 6, column 8: a second rule has"),
        (format!("group_above = 0\n{}", rule("above = 1")), "line 1, column 15: expected a whole"),
        (format!("zone = 'Mars'\n{}", rule("above = 1")), "line 1, column 8: this system knows no"),
        (
            rule("above = 1\n[[mute]]\nfrom = '22'\nto = '07:00'"),
            "line 6, column 8: expected a time of day such as 07:30",
        ),
        (
            rule("above = 1\n[[mute]]\nfrom = '24:00'\nto = '06:00'"),
            "line 6, column 8: a mute time cannot begin at 24:00; write 00:00",
        ),
        (
            rule("above = 1\n[[mute]]\ndays = ['sa']\nfrom = '22:00'\nto = '07:00'"),
            "line 6, column 9: expected one of mon,",
        ),
        (
            "[[rule]]\nname = 'a b'\nmetric = '*'\nabove = 1".to_owned(),
            "line 2, column 8: expected 1 to",
        ),
        ("[[rule]\n".to_owned(), "line 1, column 8: "),
    ] {
        let why = parse(&text).unwrap_err().to_string();
        assert!(why.contains(expected), "{why}\n    is not\n{expected}");
    }
}
