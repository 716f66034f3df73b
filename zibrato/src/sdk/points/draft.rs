//! An annotation between the beginning and the end of its event: its texts are made at run time, and
//! so they are changed where they could not be sent.

use super::capture;
use super::instrument::{self, Instrument, installed};
use super::key::legal;
use super::measure::{self, slowly};
use super::series::Loss;
use super::site::Site;
use super::tags::MAX_TAGS;
use crate::clock;
use crate::measurement::{
    Annotation, MAX_DESCRIPTION_BYTES, MAX_HREF_BYTES, MAX_TITLE_BYTES, RecordedAnnotation,
};
use crate::sdk::notices::Once;
use std::fmt::{self, Display, Write};

/// The title of an annotation whose title is empty.
const NO_TITLE: &str = "_empty";

/// The `rel` of the link of a call site.
const LINK: &str = "link";

/// An annotation at a call site that somebody wants.
#[doc(hidden)]
#[derive(Debug)]
pub struct Draft {
    site: &'static Site,
    title: String,
    description: String,
    link: String,
    tags: Vec<(&'static str, String)>,
    start_ms: u64,
}

/// Whether an annotation at a call site would be recorded.
#[doc(hidden)]
#[inline]
pub fn annotates(site: &'static Site) -> bool {
    measure::is_measured(site)
}

/// An annotation of an event that begins now.
#[doc(hidden)]
#[must_use]
pub fn draft(
    site: &'static Site,
    title: fmt::Arguments<'_>,
    description: Option<&dyn Display>,
    link: Option<&dyn Display>,
    tags: &[(&'static str, &dyn Display)],
) -> Box<Draft> {
    let shown =
        |text: Option<&dyn Display>, most| text.map_or_else(String::new, |text| show(text, most));
    Box::new(Draft {
        site,
        title: show(&title, MAX_TITLE_BYTES),
        description: shown(description, MAX_DESCRIPTION_BYTES),
        link: shown(link, MAX_HREF_BYTES),
        tags: tags.iter().map(|(tag, value)| (*tag, show(*value, MAX_TITLE_BYTES))).collect(),
        start_ms: clock::unix_ms(),
    })
}

impl Draft {
    /// Begins the event now.
    pub(crate) fn begin(&mut self) {
        self.start_ms = clock::unix_ms();
    }

    /// Records an event without an end.
    pub fn record(&self) {
        self.finish(None, None);
    }

    /// Records an event that ends now. `remark` is added to the description.
    pub(crate) fn end(&self, remark: Option<&str>) {
        // A clock that was set back does not make an event end before it began.
        let end_ms = clock::unix_ms().max(self.start_ms);
        self.finish(Some(end_ms), remark);
    }

    fn finish(&self, end_ms: Option<u64>, remark: Option<&str>) {
        slowly(|| {
            let series = self.site.series_of(&instrument::source())?;
            let annotation = self.annotation(series.name.as_str(), end_ms, remark)?;
            let recorded =
                RecordedAnnotation { level: series.level, source: series.source, annotation };
            record(installed().as_deref(), recorded);
            Some(())
        });
    }

    /// The annotation, whose texts are legal. So this is always something.
    fn annotation(
        &self,
        stream: &str,
        end_ms: Option<u64>,
        remark: Option<&str>,
    ) -> Option<Annotation> {
        let mut annotation =
            Annotation::new(stream, &legal_title(&self.title), self.start_ms).ok()?;
        let mut description = self.description.clone();
        if let Some(remark) = remark {
            // The remark has room, however long the description is.
            let most = MAX_DESCRIPTION_BYTES - remark.len() - 1;
            description = format!("{}\n{remark}", cut(&description, most));
        }
        let description = legal_text(&description, MAX_DESCRIPTION_BYTES, "\n\t");
        annotation = annotation.with_description(&description).ok()?;
        if let Some(end_ms) = end_ms {
            annotation = annotation.with_end(end_ms).ok()?;
        }
        let tags: Vec<_> = self
            .tags
            .iter()
            .take(MAX_TAGS)
            .map(|(tag, value)| (legal(tag).0, legal(value).0))
            .collect();
        let tags = tags.iter().map(|(tag, value)| (&**tag, &**value));
        annotation = annotation.with_tags(tags).ok()?;
        // A part of an address leads nowhere.
        let linked = annotation.clone().with_link(LINK, self.link.trim(), None);
        Some(linked.unwrap_or(annotation))
    }
}

/// Queues an annotation for the sender, or captures it, unless nobody wants its level.
pub(crate) fn record(instrument: Option<&Instrument>, recorded: RecordedAnnotation) {
    static FULL: Once = Once::new();
    let Some(recorded) = capture::catch_annotation(recorded) else { return };
    let Some(instrument) = instrument.filter(|it| it.is_ours()) else { return };
    let level = recorded.level.as_str();
    if !instrument.wants(level) {
        return instrument.note_level(level);
    }
    if !instrument.annotations.push(recorded) {
        instrument.refused.add(Loss::TooManyAnnotations, 1);
        FULL.warn(|| {
            "there are too many annotations that wait for the broker, so further ones are lost, and \
             counted in Stats::lost; annotations are for rare events, such as deploys"
                .to_owned()
        });
    }
}

/// Displays a value, up to one character more than a text may have, so that a longer one can be
/// recognized.
fn show(value: &(impl Display + ?Sized), most: usize) -> String {
    let mut short = Short { text: String::new(), most };
    // An error means that the text is full, or that the value cannot be formatted. Both keep what was
    // written before.
    write!(short, "{value}").ok();
    short.text
}

struct Short {
    text: String,
    most: usize,
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.text.len() > self.most {
                return Err(fmt::Error);
            }
            self.text.push(c);
        }
        Ok(())
    }
}

fn legal_title(title: &str) -> String {
    let title = legal_text(title.trim(), MAX_TITLE_BYTES, "");
    if title.is_empty() { NO_TITLE.to_owned() } else { title }
}

/// The text with blanks in place of control characters, except for those that are `allowed`.
fn legal_text(text: &str, most: usize, allowed: &str) -> String {
    let is_bad =
        |c: char| (c.is_control() || c == '\u{2028}' || c == '\u{2029}') && !allowed.contains(c);
    let text = if allowed.contains('\n') { text.replace("\r\n", "\n") } else { text.to_owned() };
    let legal: String = text.chars().map(|c| if is_bad(c) { ' ' } else { c }).collect();
    cut(legal.trim(), most)
}

/// The text, or its beginning and `…`.
fn cut(text: &str, most: usize) -> String {
    const MORE: &str = "…";
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most.saturating_sub(MORE.len()));
    let (beginning, _) = text.split_at(end);
    format!("{beginning}{MORE}")
}

#[cfg(test)]
mod tests {
    use super::{cut, legal_text, legal_title, show};

    #[test]
    fn a_title_that_cannot_be_sent_is_changed() {
        for (title, expected) in [
            ("  version 7 ", "version 7"),
            ("a|b", "a|b"),
            ("two\nlines\u{2028}", "two lines"),
            ("", "_empty"),
            (" \t ", "_empty"),
        ] {
            assert_eq!(legal_title(title), expected);
        }
        let long = legal_title(&"é".repeat(200));
        assert_eq!((long.len(), long.chars().last()), (255, Some('…')));
    }

    #[test]
    fn a_text_is_cut_between_two_characters() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "…");
        assert_eq!(cut("ééé", 5), "é…");
        assert_eq!(legal_text("a\r\nb\rc\td", 99, "\n\t"), "a\nb c\td");
    }

    #[test]
    fn an_endless_value_ends() {
        struct Endless;
        impl std::fmt::Display for Endless {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                loop {
                    f.write_str("ab")?;
                }
            }
        }
        assert_eq!(show(&Endless, 4), "ababa");
    }
}
