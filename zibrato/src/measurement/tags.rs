//! The tags of a series.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Maximum number of tags of a series or an annotation.
pub const MAX_TAGS: usize = 50;

/// Tags of a series with their values, in ascending order of the tags.
///
/// ```
/// use zibrato::{count, testing};
///
/// let capture = testing::capture();
/// count!("info", "requests", tags(status = 404, region = "eu"));
/// let tags = capture.measurements()[0].tags.clone();
/// assert_eq!(tags, [("region", "eu"), ("status", "404")]);
/// assert_eq!(tags.get("status"), Some("404"));
/// assert_eq!(tags.to_string(), "region=eu,status=404");
/// ```
#[derive(Clone)]
pub struct Tags(Repr);

#[derive(Clone)]
enum Repr {
    /// Known when the program is compiled.
    Fixed(&'static [(&'static str, &'static str)]),
    /// Made at run time.
    Made(Arc<[(Box<str>, Box<str>)]>),
}

impl Tags {
    /// No tags.
    pub(crate) const NONE: Self = Self::fixed(&[]);

    /// Tags that the program was compiled with, in ascending order.
    pub(crate) const fn fixed(tags: &'static [(&'static str, &'static str)]) -> Self {
        Self(Repr::Fixed(tags))
    }

    /// Tags made at run time. Of several values of one tag, the last one counts.
    pub(crate) fn made(tags: Vec<(Box<str>, Box<str>)>) -> Self {
        let mut ordered: Vec<(Box<str>, Box<str>)> = Vec::with_capacity(tags.len());
        for (tag, value) in tags {
            match ordered.binary_search_by(|(other, _)| other.cmp(&tag)) {
                Ok(at) => ordered[at].1 = value,
                Err(at) => ordered.insert(at, (tag, value)),
            }
        }
        Self(Repr::Made(ordered.into()))
    }

    /// The tags and their values, in ascending order of the tags.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let (fixed, made) = match &self.0 {
            Repr::Fixed(tags) => (Some(tags.iter().copied()), None),
            Repr::Made(tags) => (None, Some(tags.iter().map(|(tag, value)| (&**tag, &**value)))),
        };
        fixed.into_iter().flatten().chain(made.into_iter().flatten())
    }

    /// Calls `act` with all tags as one slice.
    pub(crate) fn with_slice<R>(&self, act: impl FnOnce(&[(&str, &str)]) -> R) -> R {
        match &self.0 {
            Repr::Fixed(tags) => act(tags),
            Repr::Made(_) => act(&self.iter().collect::<Vec<_>>()),
        }
    }

    /// The value of a tag.
    #[must_use]
    pub fn get(&self, tag: &str) -> Option<&str> {
        self.iter().find(|(other, _)| *other == tag).map(|(_, value)| value)
    }

    /// Number of tags.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Fixed(tags) => tags.len(),
            Repr::Made(tags) => tags.len(),
        }
    }

    /// Whether there are no tags.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl PartialEq for Tags {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Tags {}

impl PartialOrd for Tags {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Tags {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl Hash for Tags {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.iter().for_each(|tag| tag.hash(state));
    }
}

impl PartialEq<[(&str, &str)]> for Tags {
    fn eq(&self, other: &[(&str, &str)]) -> bool {
        self.iter().eq(other.iter().copied())
    }
}

impl<const N: usize> PartialEq<[(&str, &str); N]> for Tags {
    fn eq(&self, other: &[(&str, &str); N]) -> bool {
        *self == other[..]
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// `tag=value,tag=value`
impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (tag, value)) in self.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{tag}={value}")?;
        }
        Ok(())
    }
}
