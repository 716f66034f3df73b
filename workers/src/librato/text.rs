//! Names and sources as Librato takes them.

use zibrato::DEFAULT_SOURCE;

/// The longest name or source, in characters, which are all ASCII.
pub(super) const MAX_TEXT: usize = 255;

/// Replaces every run of characters outside `A-Z a-z 0-9 . : - _` by one `-`, and cuts at 255, as
/// python-librato's `sanitize_metric_name` does.
pub(super) fn sanitise(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut in_run = false;
    for c in text.chars() {
        let allowed = c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_');
        if allowed {
            clean.push(c);
        } else if !in_run {
            clean.push('-');
        }
        in_run = !allowed;
    }
    clean.truncate(MAX_TEXT);
    clean
}

/// A source, sanitised. Librato keeps `all` for itself, whatever its case; it becomes `all_`. An
/// empty one becomes the default source.
pub(super) fn source(text: &str) -> String {
    let clean = sanitise(text);
    if clean.is_empty() {
        return DEFAULT_SOURCE.to_owned();
    }
    if clean.eq_ignore_ascii_case("all") { format!("{clean}_") } else { clean }
}

/// The name of a series: prefix, name, and for each tag `.tag.value`, because Librato's sources
/// know no tags. Sanitised as a whole.
pub(super) fn name(prefix: &str, name: &str, tags: &[(Box<str>, Box<str>)]) -> String {
    if prefix.is_empty() && tags.is_empty() {
        return sanitise(name);
    }
    let mut whole = format!("{prefix}{name}");
    for (tag, value) in tags {
        whole.extend([".", tag, ".", value]);
    }
    sanitise(&whole)
}

#[cfg(test)]
mod tests {
    use super::{name, sanitise, source};
    use proptest::prelude::*;

    #[test]
    fn names_become_what_python_librato_makes_of_them() {
        let long = "x".repeat(254);
        for (from, to) in [
            ("abcdefghijklmnopqrstuvwxyz.:-_", "abcdefghijklmnopqrstuvwxyz.:-_"),
            ("   \t\nbat$$$*[]()m#@%^&=`~an", "-bat-m-an"),
            ("Just*toBeSafe", "Just-toBeSafe"),
            ("", ""),
            ("café au lait", "caf-au-lait"),
            ("a/b/c", "a-b-c"),
            ("--a--", "--a--"),
            ("[[]]", "-"),
            ("A.b:C-d_9", "A.b:C-d_9"),
            ("a|b", "a-b"),
            (&format!("{long}!!y"), &format!("{long}-")),
        ] {
            assert_eq!(sanitise(from), to);
        }
    }

    #[test]
    fn sources_that_librato_keeps_for_itself_are_renamed() {
        for (from, to) in [
            ("web-1", "web-1"),
            ("host.example.com:80", "host.example.com:80"),
            ("my prog/1", "my-prog-1"),
            ("", "not_specified"),
            ("all", "all_"),
            ("ALL", "ALL_"),
            ("allegro", "allegro"),
        ] {
            assert_eq!(source(from), to);
        }
    }

    #[test]
    fn tags_follow_the_name() {
        let tags = [("dc".into(), "eu west".into()), ("status".into(), "200".into())];
        assert_eq!(name("", "http.requests", &tags), "http.requests.dc.eu-west.status.200");
        assert_eq!(name("staging.", "logins", &[]), "staging.logins");
    }

    proptest! {
        #[test]
        fn whatever_comes_out_is_taken(text in any::<String>()) {
            let legal = |text: &str| {
                text.len() <= 255
                    && text.chars().all(|c| c.is_ascii_alphanumeric() || ".:-_".contains(c))
            };
            prop_assert!(legal(&sanitise(&text)));
            prop_assert_eq!(sanitise(&sanitise(&text)), sanitise(&text));
            let source = source(&text);
            prop_assert!(legal(&source) && !source.is_empty());
            prop_assert!(!source.eq_ignore_ascii_case("all"));
        }
    }
}
