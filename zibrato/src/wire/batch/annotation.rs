//! The keys of an entry that is an annotation.

use super::error::EntryError;
use super::items::{Flat, Tags};
use crate::measurement::{Annotation, AnnotationError, MAX_LINKS};
use crate::wire::msgpack as mp;

/// The values in the map of an annotation, before they are validated.
#[derive(Default)]
pub(super) struct AnnotationFields<'a> {
    pub(super) title: Option<&'a str>,
    pub(super) end: Option<u64>,
    pub(super) description: Option<&'a str>,
    pub(super) links: Option<Flat<'a>>,
}

impl AnnotationFields<'_> {
    pub(super) fn read(
        self,
        stream: &str,
        tags: &Tags<'_>,
        start: Option<u64>,
    ) -> Result<Annotation, EntryError> {
        let title = self.title.ok_or(EntryError::Missing { key: "t" })?;
        let start = start.ok_or(EntryError::Missing { key: "w" })?;
        let mut read = Annotation::new(stream, title, start)?
            .with_tags(tags.clone())?
            .with_description(self.description.unwrap_or_default())?;
        if let Some(end) = self.end {
            read = read.with_end(end)?;
        }
        let mut links = self.links.unwrap_or_default();
        if links.left as usize > MAX_LINKS {
            return Err(AnnotationError::TooManyLinks.into());
        }
        while links.left > 0 {
            let Link { rel, href, label } = links.next_with(Link::read)?;
            let rel = rel.ok_or(EntryError::Missing { key: "rel" })?;
            let href = href.ok_or(EntryError::Missing { key: "href" })?;
            read = read.with_link(rel, href, label)?;
        }
        Ok(read)
    }
}

/// The values in the map of a link, before they are validated.
#[derive(Default)]
struct Link<'a> {
    rel: Option<&'a str>,
    href: Option<&'a str>,
    label: Option<&'a str>,
}

impl<'a> Link<'a> {
    fn read(from: &mut &'a [u8]) -> Result<Self, mp::Malformed> {
        let mut link = Self::default();
        for _ in 0..mp::read_map(from)? {
            match mp::read_text(from)? {
                "rel" => link.rel = Some(mp::read_text(from)?),
                "href" => link.href = Some(mp::read_text(from)?),
                "label" => link.label = Some(mp::read_text(from)?),
                _ => {
                    mp::skip(from)?;
                }
            }
        }
        Ok(link)
    }
}
