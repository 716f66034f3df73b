//! The annotations of a window, which are kept as they are up to a limit. Pure.

use crate::measurement::Annotation;
use std::sync::Arc;

/// Maximum number of annotations of a window; further ones are counted as
/// [omitted](super::Window::omitted_annotations), and in the series of their stream.
pub const MAX_ANNOTATIONS: usize = 1_000;

/// Maximum length of the texts of all annotations of a window, in bytes: 4 MiB.
pub const MAX_ANNOTATION_BYTES: usize = 4 << 20;

/// An annotation in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowAnnotation {
    /// The source of its batch.
    pub source: Arc<str>,
    /// The annotation.
    pub annotation: Annotation,
}

/// The annotations of a window, up to a limit.
#[derive(Debug, Default)]
pub(super) struct Annotations {
    pub(super) kept: Vec<WindowAnnotation>,
    bytes: usize,
    pub(super) omitted: u64,
    offender: Option<(Box<str>, Box<str>)>,
}

impl Annotations {
    /// Returns whether there was room.
    pub(super) fn add(&mut self, source: &str, annotation: &Annotation) -> bool {
        let bytes = self.bytes + annotation.bytes();
        if self.kept.len() == MAX_ANNOTATIONS || bytes > MAX_ANNOTATION_BYTES {
            self.omitted += 1;
            self.offender.get_or_insert_with(|| (source.into(), annotation.stream().into()));
            return false;
        }
        self.bytes = bytes;
        let (source, annotation) = (Arc::from(source), annotation.clone());
        self.kept.push(WindowAnnotation { source, annotation });
        true
    }

    pub(super) fn offender(&self) -> Option<(&str, &str)> {
        self.offender.as_ref().map(|(source, stream)| (&**source, &**stream))
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_ANNOTATION_BYTES, MAX_ANNOTATIONS};
    use crate::measurement::Annotation;
    use crate::window::{Fold, Series, Window};
    use crate::wire::{BatchReader, BatchWriter};

    fn window(annotations: impl IntoIterator<Item = Annotation>) -> Window {
        let mut batch = BatchWriter::new("web-1", 0, 1_000);
        annotations.into_iter().for_each(|annotation| batch.annotation(&annotation));
        batch.counter("logins", &[], 2.0);
        let body = batch.finish();
        let mut window = Window::new(0, 60_000, 10);
        window.fold_batch(&BatchReader::new(&body).unwrap(), |error| panic!("{error}"));
        window
    }

    fn titled(title: &str) -> Annotation {
        Annotation::new("deploys", title, 5).unwrap()
    }

    #[test]
    fn annotations_keep_their_order_and_are_no_series() {
        let window = window([titled("b"), titled("a"), titled("b")]);
        let titles: Vec<_> = window.annotations().iter().map(|a| a.annotation.title()).collect();
        assert_eq!(titles, ["b", "a", "b"]);
        assert_eq!(&*window.annotations()[0].source, "web-1");
        assert_eq!((window.len(), window.folded(), window.omitted_annotations()), (1, 4, 0));
        assert_eq!(window.into_series()[0].value, Fold::Counter(2.0));
    }

    #[test]
    fn annotations_beyond_the_limit_are_counted_and_the_first_of_them_is_named() {
        let window = window((0..MAX_ANNOTATIONS + 3).map(|n| titled(&n.to_string())));
        assert_eq!(
            (window.annotations().len(), window.omitted_annotations()),
            (MAX_ANNOTATIONS, 3)
        );
        assert_eq!(window.annotation_offender(), Some(("web-1", "deploys")));
        assert_eq!(window.annotations().last().unwrap().annotation.title(), "999");
        assert_eq!(window.folded(), MAX_ANNOTATIONS as u64 + 4);
    }

    #[test]
    fn annotations_beyond_the_limit_are_counted_in_the_series_of_their_stream() {
        let mut window = window((0..MAX_ANNOTATIONS + 3).map(|n| titled(&n.to_string())));
        let count = |window: &Window| match &window.series()[0] {
            Series { name, value: Fold::Counter(count), .. }
                if &**name == "annotations.deploys" =>
            {
                *count
            }
            other => panic!("{other:?}"),
        };
        // The counter of the batch comes after its annotations.
        assert_eq!((count(&window), window.len()), (3.0, 2));
        let folded = window.folded();
        window.count_annotations();
        assert_eq!(count(&window), MAX_ANNOTATIONS as f64 + 3.0);
        assert_eq!((window.annotations().len(), window.len(), window.folded()), (0, 2, folded));
    }

    #[test]
    fn annotations_with_long_texts_are_limited_by_their_length() {
        let long = (0..10).fold(titled("a"), |long, n| {
            long.with_link(&n.to_string(), &"x".repeat(2_048), None).unwrap()
        });
        let window = window(vec![long.clone(); 400]);
        let kept = window.annotations().len();
        assert_eq!(kept, MAX_ANNOTATION_BYTES / long.bytes());
        assert_eq!(window.omitted_annotations(), 400 - kept as u64);
    }
}
