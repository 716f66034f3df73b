//! Annotations: events such as deploys, which are shown beside measurements.

use super::{MAX_TAGS, Name, Tags, TextProblem, check_name};
use std::fmt;

/// Maximum length of the title of an annotation, in bytes.
pub const MAX_TITLE_BYTES: usize = 255;

/// Maximum length of the description of an annotation, in bytes.
pub const MAX_DESCRIPTION_BYTES: usize = 4_096;

/// Maximum number of links of an annotation.
pub const MAX_LINKS: usize = 10;

/// Maximum length of the address of a link, in bytes.
pub const MAX_HREF_BYTES: usize = 2_048;

/// The first time that an annotation cannot have, in Unix milliseconds: the year 10000.
const TOO_LATE_MS: u64 = 253_402_300_800_000;

/// An event that is shown beside measurements, such as a deploy, a restart or a migration.
///
/// It belongs to a stream, such as `deploys`. An event that lasts has an end.
///
/// | part | limits |
/// |---|---|
/// | stream | as a [name](check_name) |
/// | title | 1 to 255 bytes without control characters; blanks around it are removed |
/// | description | at most 4,096 bytes; of the control characters, only line feeds and tabs |
/// | start, end | Unix milliseconds before the year 10000; the end is not before the start |
/// | links | at most 10, each with its own `rel` |
/// | tags | at most 50, as those of measurements |
///
/// ```
/// use zibrato::Annotation;
/// # fn main() -> Result<(), zibrato::AnnotationError> {
/// let deploy = Annotation::new("deploys", "version 7 is live", 1_700_000_000_000)?
///     .with_description("By the release train.")?
///     .with_end(1_700_000_042_000)?
///     .with_link("ci", "https://ci.example.com/builds/7", Some("the build"))?
///     .with_tag("region", "eu")?;
/// assert_eq!((deploy.stream(), deploy.title()), ("deploys", "version 7 is live"));
/// assert!(Annotation::new("deploys", "  ", 0).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Annotation {
    // Invariant: all parts are within their limits; only the methods below make them.
    stream: Name,
    title: Box<str>,
    description: Option<Box<str>>,
    start_ms: u64,
    end_ms: Option<u64>,
    links: Vec<AnnotationLink>,
    tags: Tags,
}

/// A link of an annotation to a page about the event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnnotationLink {
    rel: Box<str>,
    href: Box<str>,
    label: Option<Box<str>>,
}

/// Why a part of an annotation was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnotationError {
    /// The description is invalid.
    #[error("the description {}; it may have 4,096 bytes, and line feeds and tabs", Free(*.0))]
    Description(TextProblem),
    /// The end is before the start, or after the year 9999.
    #[error("the end is before the start or after the year 9999; give both in Unix milliseconds")]
    End,
    /// A part of a link is invalid.
    #[error("the {part} of a link {}; rel and label may have 255 bytes, href 2,048", Free(*.problem))]
    Link {
        /// `rel`, `href` or `label`.
        part: &'static str,
        /// What is wrong with it.
        problem: TextProblem,
    },
    /// Two links have the same `rel`.
    #[error("two links have the same rel; give each link its own, such as `ci` and `diff`")]
    SameRel,
    /// The start is after the year 9999.
    #[error("the start is after the year 9999; give it in Unix milliseconds")]
    Start,
    /// The stream is invalid.
    #[error("the stream {0}")]
    Stream(TextProblem),
    /// A tag or its value is invalid.
    #[error("a tag {0}")]
    Tag(TextProblem),
    /// The title is invalid.
    #[error("the title {}; it may have 255 bytes", Free(*.0))]
    Title(TextProblem),
    /// There are more than 10 links.
    #[error("an annotation may have at most 10 links")]
    TooManyLinks,
    /// There are more than 50 tags.
    #[error("an annotation may have at most 50 tags")]
    TooManyTags,
}

/// The problem of a text whose limits follow.
struct Free(TextProblem);

impl fmt::Display for Free {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            TextProblem::TooLong => "is too long",
            other => other.message(),
        })
    }
}

impl Annotation {
    /// An annotation of an event that began at `start_ms`, in Unix milliseconds.
    ///
    /// # Errors
    /// [`AnnotationError`] if the stream, the title or the start is invalid.
    pub fn new(stream: &str, title: &str, start_ms: u64) -> Result<Self, AnnotationError> {
        let stream = Name::new(stream).map_err(|error| AnnotationError::Stream(error.problem))?;
        let title = title.trim();
        check_free(title, MAX_TITLE_BYTES, "").map_err(AnnotationError::Title)?;
        if start_ms >= TOO_LATE_MS {
            return Err(AnnotationError::Start);
        }
        let (title, links, tags) = (title.into(), Vec::new(), Tags::NONE);
        Ok(Self { stream, title, description: None, start_ms, end_ms: None, links, tags })
    }

    /// Sets the description, without the white space around it. An empty one is none.
    ///
    /// # Errors
    /// [`AnnotationError::Description`] if it is too long, or contains control characters other than
    /// line feeds and tabs.
    pub fn with_description(mut self, description: &str) -> Result<Self, AnnotationError> {
        let text = description.trim();
        if text.is_empty() {
            self.description = None;
            return Ok(self);
        }
        check_free(text, MAX_DESCRIPTION_BYTES, "\n\t").map_err(AnnotationError::Description)?;
        self.description = Some(text.into());
        Ok(self)
    }

    /// Sets the end of the event, in Unix milliseconds.
    ///
    /// # Errors
    /// [`AnnotationError::End`] if it is before the start or after the year 9999.
    pub fn with_end(mut self, end_ms: u64) -> Result<Self, AnnotationError> {
        if end_ms < self.start_ms || end_ms >= TOO_LATE_MS {
            return Err(AnnotationError::End);
        }
        self.end_ms = Some(end_ms);
        Ok(self)
    }

    /// Adds a link: a word for what it leads to, such as `ci`, its address, and a text that is shown.
    ///
    /// # Errors
    /// [`AnnotationError`] if a part of it is invalid, another link has the same `rel`, or there are
    /// 10 links already.
    pub fn with_link(
        mut self,
        rel: &str,
        href: &str,
        label: Option<&str>,
    ) -> Result<Self, AnnotationError> {
        let check = |part, text: &str, most| {
            check_free(text, most, "").map_err(|problem| AnnotationError::Link { part, problem })
        };
        check("rel", rel, super::MAX_NAME_BYTES)?;
        check("href", href, MAX_HREF_BYTES)?;
        if let Some(label) = label {
            check("label", label, super::MAX_NAME_BYTES)?;
        }
        if self.links.iter().any(|link| &*link.rel == rel) {
            return Err(AnnotationError::SameRel);
        }
        if self.links.len() == MAX_LINKS {
            return Err(AnnotationError::TooManyLinks);
        }
        let (rel, href, label) = (rel.into(), href.into(), label.map(Box::from));
        self.links.push(AnnotationLink { rel, href, label });
        Ok(self)
    }

    /// Adds a tag. Of several values of one tag, the last one counts.
    ///
    /// # Errors
    /// [`AnnotationError`] if the tag or its value is invalid, or there are 50 tags already.
    pub fn with_tag(self, tag: &str, value: &str) -> Result<Self, AnnotationError> {
        self.with_tags([(tag, value)])
    }

    /// Adds tags. Of several values of one tag, the last one counts.
    ///
    /// # Errors
    /// [`AnnotationError`] if a tag or its value is invalid, or there are more than 50.
    pub fn with_tags<'t>(
        mut self,
        tags: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> Result<Self, AnnotationError> {
        let own = |(tag, value): (&str, &str)| (Box::from(tag), Box::from(value));
        let mut all: Vec<_> = self.tags.iter().map(own).collect();
        for (tag, value) in tags {
            check_name(tag).and(check_name(value)).map_err(AnnotationError::Tag)?;
            all.push(own((tag, value)));
            if all.len() > 2 * MAX_TAGS {
                return Err(AnnotationError::TooManyTags);
            }
        }
        self.tags = Tags::made(all);
        if self.tags.len() > MAX_TAGS {
            return Err(AnnotationError::TooManyTags);
        }
        Ok(self)
    }

    /// The stream that it belongs to.
    #[must_use]
    pub fn stream(&self) -> &str {
        self.stream.as_str()
    }

    /// The title.
    #[must_use]
    pub const fn title(&self) -> &str {
        &self.title
    }

    /// The description, if it has one.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The start of the event, in Unix milliseconds.
    #[must_use]
    pub const fn start_ms(&self) -> u64 {
        self.start_ms
    }

    /// The end of the event, in Unix milliseconds, if it has one.
    #[must_use]
    pub const fn end_ms(&self) -> Option<u64> {
        self.end_ms
    }

    /// The links, in the order in which they were added.
    #[must_use]
    pub fn links(&self) -> &[AnnotationLink] {
        &self.links
    }

    /// The tags.
    #[must_use]
    pub const fn tags(&self) -> &Tags {
        &self.tags
    }

    /// The name of the series that counts the annotations of the stream, `annotations.STREAM`, for
    /// receivers that have only series. It is cut after 255 bytes.
    #[must_use]
    pub fn counter_name(&self) -> String {
        let mut name = format!("annotations.{}", self.stream());
        name.truncate(name.floor_char_boundary(super::MAX_NAME_BYTES));
        name
    }

    /// The length of all texts, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let of = |text: Option<&str>| text.map_or(0, str::len);
        let links = self.links.iter().map(|l| l.rel.len() + l.href.len() + of(l.label()));
        let tags = self.tags.iter().map(|(tag, value)| tag.len() + value.len());
        let texts = self.stream().len() + self.title.len() + of(self.description());
        texts + links.sum::<usize>() + tags.sum::<usize>()
    }
}

impl AnnotationLink {
    /// A word for what the link leads to, such as `ci`. It is unique in the annotation.
    #[must_use]
    pub const fn rel(&self) -> &str {
        &self.rel
    }

    /// The address.
    #[must_use]
    pub const fn href(&self) -> &str {
        &self.href
    }

    /// The text that is shown, if it has one.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }
}

/// Checks a text that is not a name: it may contain `|`.
fn check_free(text: &str, longest: usize, allowed: &str) -> Result<(), TextProblem> {
    let breaks = |c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}';
    if text.is_empty() {
        Err(TextProblem::Empty)
    } else if text.len() > longest {
        Err(TextProblem::TooLong)
    } else if text.chars().any(|c| breaks(c) && !allowed.contains(c)) {
        Err(TextProblem::Control)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
