//! Slack's mark-up in the text of a message: links, mentions and entities.
//!
//! Pure.

/// The text that a message shows: links and mentions become their labels or addresses, and `&lt;`,
/// `&gt;` and `&amp;` become characters.
///
/// Slack makes links of names that look like hosts. A mention without a label stays as it is, because
/// its name is not known.
///
/// ```
/// use zibrato_workers::slack::bus::decode;
/// assert_eq!(decode("<http://web-1.example.com|web-1.example.com>.load"), "web-1.example.com.load");
/// assert_eq!(decode("a &amp;lt; b <!channel>"), "a &lt; b <!channel>");
/// ```
#[must_use]
pub fn decode(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        push_entities(&mut decoded, before);
        let end = after.find(['<', '>', '\n']);
        let inner = end.and_then(|end| after.split_at_checked(end));
        match inner {
            Some((inner, closed)) if closed.starts_with('>') => {
                push_link(&mut decoded, inner);
                rest = closed.strip_prefix('>').unwrap_or_default();
            }
            // It is not closed, so it is only a character.
            _ => {
                decoded.push('<');
                rest = after;
            }
        }
    }
    push_entities(&mut decoded, rest);
    decoded
}

/// Adds what stands between `<` and `>`.
fn push_link(to: &mut String, inner: &str) {
    match inner.split_once('|') {
        Some((_, label)) if !label.is_empty() => push_entities(to, label),
        Some((address, _)) if !address.starts_with(['@', '#', '!']) => push_entities(to, address),
        None if !inner.starts_with(['@', '#', '!']) => push_entities(to, inner),
        _ => to.extend(["<", inner, ">"]),
    }
}

/// Adds a text, in one pass, so that `&amp;lt;` becomes `&lt;`.
fn push_entities(to: &mut String, text: &str) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        to.push_str(before);
        let known = [("lt;", '<'), ("gt;", '>'), ("amp;", '&')];
        let entity = known.iter().find_map(|(name, c)| Some((after.strip_prefix(name)?, *c)));
        let (behind, c) = entity.unwrap_or((after, '&'));
        to.push(c);
        rest = behind;
    }
    to.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::decode;
    use crate::slack::format::escape;
    use proptest::prelude::*;

    #[test]
    fn links_become_their_labels_and_entities_their_characters() {
        for (text, decoded) in [
            ("a &amp; b", "a & b"),
            ("&lt;b&gt;", "<b>"),
            ("&amp;lt;", "&lt;"),
            ("&amp;amp;", "&amp;"),
            ("&quot; &#60; & &", "&quot; &#60; & &"),
            ("<http://www.example.com>", "http://www.example.com"),
            ("<http://a.b/?x=1&amp;y=2>", "http://a.b/?x=1&y=2"),
            ("<http://a.b|a.b>.load", "a.b.load"),
            ("<mailto:a@b.c|a@b.c>", "a@b.c"),
            ("<http://a.b|>", "http://a.b"),
            ("<@U1|bob> hi", "bob hi"),
            ("<@U1> hi", "<@U1> hi"),
            ("<@U1|>", "<@U1|>"),
            ("<!channel>", "<!channel>"),
            ("<!subteam^S1|@ops>", "@ops"),
            ("<#C1|general>", "general"),
            ("<#C1|a&lt;b>", "a<b"),
            ("a < b", "a < b"),
            ("<a <http://b|c>", "<a c"),
            ("<a\nb>", "<a\nb>"),
            ("", ""),
        ] {
            assert_eq!(decode(text), decoded, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_escaped_text_is_decoded_to_itself(text in "[a&<>|;ltgm@#! \n日]{0,40}") {
            prop_assert_eq!(decode(&escape(&text)), text);
        }
    }
}
