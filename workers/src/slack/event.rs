//! Formats an annotation as a message of its own.
//!
//! Pure.

use super::blocks::section;
use super::format::{escape, seconds, shorten};
use serde_json::Value;
use zibrato::daemon::rfc3339;
use zibrato::window::WindowAnnotation;
use zibrato::{Annotation, AnnotationLink};

/// Maximum number of characters: Slack's limit for the text of a section.
const MAX_TEXT: usize = 3_000;

/// Maximum number of characters of the title, and of the source and the stream. Escaping turns one
/// into at most five.
const MAX_TITLE: usize = 200;
const MAX_NAME: usize = 80;

/// Maximum number of characters of the description.
const MAX_DESCRIPTION: usize = 1_000;

/// The text of notifications, and the blocks of the message.
pub(super) fn message(of: &WindowAnnotation) -> (String, Vec<Value>) {
    let WindowAnnotation { source, annotation, .. } = of;
    let title = plain(annotation.title(), MAX_TITLE);
    let (source, stream) = (plain(source, MAX_NAME), plain(annotation.stream(), MAX_NAME));
    let mut text = format!("*{title}* _{source}_ {stream}, {}", time(annotation));
    if let Some(description) = annotation.description() {
        let description = described(description, room(&text));
        add(&mut text, '\n', &description);
    }
    let mut between = '\n';
    for link in annotation.links() {
        add(&mut text, between, &linked(link));
        between = ' ';
    }
    let blocks = vec![section(&text)];
    (format!("{stream}: {title}"), blocks)
}

/// The beginning of a text. Backticks are replaced, because they would start a code span.
fn plain(text: &str, most: usize) -> String {
    escape(&shorten(text, most).replace('`', "'"))
}

/// Adds a text if there is room for it.
fn add(text: &mut String, between: char, more: &str) {
    if !more.is_empty() && more.chars().count() <= room(text) {
        text.push(between);
        text.push_str(more);
    }
}

/// How many characters may follow, without the one between.
fn room(text: &str) -> usize {
    (MAX_TEXT - 1).saturating_sub(text.chars().count())
}

fn described(description: &str, room: usize) -> String {
    let text = escape(&shorten(description, MAX_DESCRIPTION));
    if text.chars().count() <= room {
        return text;
    }
    escape(&shorten(description, room / "&amp;".len()))
}

/// `2026-11-20 12:00:00 UTC, took 42 s`
fn time(annotation: &Annotation) -> String {
    let start_ms = annotation.start_ms();
    let start = rfc3339(start_ms);
    let [date, time] = [0..10, 11..19].map(|part| start.get(part).unwrap_or_default());
    let took = annotation.end_ms().map_or_else(String::new, |end_ms| {
        format!(", took {}", seconds(end_ms.saturating_sub(start_ms) as f64 / 1e3))
    });
    format!("{date} {time} UTC{took}")
}

/// A link, if Slack can follow it, or else its parts as text.
fn linked(link: &AnnotationLink) -> String {
    let label = escape(&shorten(link.label().unwrap_or_else(|| link.rel()), MAX_NAME));
    let is_web = ["https://", "http://"].iter().any(|scheme| link.href().starts_with(scheme));
    if is_web {
        // A bar would begin the label, and a blank would end the address.
        let href = escape(link.href()).replace('|', "%7C").replace(' ', "%20");
        return format!("<{href}|{}>", label.replace('|', "¦"));
    }
    format!("{label}: {}", escape(link.href()))
}

#[cfg(test)]
mod tests {
    use super::{MAX_TEXT, message};
    use zibrato::Annotation;
    use zibrato::window::Window;

    const NOON_MS: u64 = 1_795_176_000_000; // 2026-11-20 12:00:00 UTC

    fn shown(annotation: &Annotation) -> (String, String) {
        let mut window = Window::new(0, 60_000, 1);
        window.add_annotation("web<1>", annotation);
        let (text, blocks) = message(&window.annotations()[0]);
        assert_eq!((blocks.len(), &blocks[0]["type"]), (1, &"section".into()));
        assert_eq!(blocks[0]["text"]["verbatim"], true);
        (text, blocks[0]["text"]["text"].as_str().unwrap().to_owned())
    }

    #[test]
    fn a_message_has_every_part_of_the_annotation() {
        let deploy = Annotation::new("deploys", "`version` 7 & <!channel>", NOON_MS).unwrap();
        assert_eq!(
            shown(&deploy),
            (
                "deploys: 'version' 7 &amp; &lt;!channel&gt;".to_owned(),
                "*'version' 7 &amp; &lt;!channel&gt;* _web&lt;1&gt;_ deploys, \
                 2026-11-20 12:00:00 UTC"
                    .to_owned()
            )
        );
        let deploy = deploy.with_description("by Ann\n<@U1>").unwrap();
        let deploy = deploy.with_end(NOON_MS + 42_000).unwrap();
        let deploy = deploy.with_link("ci", "https://ci/7?a=b|c&d", Some("the|build>")).unwrap();
        let deploy = deploy.with_link("run", "ssh://host/<x>", None).unwrap();
        let (_, text) = shown(&deploy);
        assert_eq!(
            text,
            "*'version' 7 &amp; &lt;!channel&gt;* _web&lt;1&gt;_ deploys, 2026-11-20 12:00:00 UTC, \
             took 42 s\nby Ann\n&lt;@U1&gt;\n<https://ci/7?a=b%7Cc&amp;d|the¦build&gt;> \
             run: ssh://host/&lt;x&gt;"
        );
    }

    #[test]
    fn a_message_stays_within_the_limit_of_slack() {
        let mut long = Annotation::new(&"&".repeat(255), &"&".repeat(255), NOON_MS).unwrap();
        long = long.with_description(&"&".repeat(4_096)).unwrap();
        for n in 0..10 {
            long = long
                .with_link(&n.to_string(), &format!("https://h/{}", "x".repeat(1_000)), None)
                .unwrap();
        }
        let (_, text) = shown(&long);
        assert!(text.chars().count() <= MAX_TEXT, "{}", text.len());
        let short = Annotation::new("a", "b", NOON_MS).unwrap().with_description("c").unwrap();
        let short = (0..10).fold(short, |of, n| {
            of.with_link(&n.to_string(), &format!("https://h/{}", "x".repeat(1_000)), None).unwrap()
        });
        let (_, text) = shown(&short);
        assert!(text.chars().count() <= MAX_TEXT && text.contains("|1>") && !text.contains("|2>"));
    }
}
