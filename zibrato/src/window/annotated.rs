//! What a window does with annotations. Pure.

use super::annotations::WindowAnnotation;
use super::{Fold, Window};
use crate::measurement::Annotation;

impl Window {
    /// The annotations, in the order in which they were added: at most
    /// [`MAX_ANNOTATIONS`](super::MAX_ANNOTATIONS), and
    /// [`MAX_ANNOTATION_BYTES`](super::MAX_ANNOTATION_BYTES).
    #[must_use]
    pub fn annotations(&self) -> &[WindowAnnotation] {
        &self.annotations.kept
    }

    /// Number of annotations that were omitted because the window had too many.
    #[must_use]
    pub const fn omitted_annotations(&self) -> u64 {
        self.annotations.omitted
    }

    /// Source and stream of the first annotation that was omitted.
    #[must_use]
    pub fn annotation_offender(&self) -> Option<(&str, &str)> {
        self.annotations.offender()
    }

    /// Adds an annotation. It becomes no series, unless the window has too many annotations: then it
    /// is counted in the [series of its stream](Annotation::counter_name).
    pub fn add_annotation(&mut self, source: &str, annotation: &Annotation) {
        if self.annotations.add(source, annotation) {
            self.folded += 1;
        } else {
            self.fold_series(source, &annotation.counter_name(), &[], &Fold::Counter(1.0));
        }
    }

    /// Replaces each annotation by a count in the [series of its stream](Annotation::counter_name), for
    /// receivers that have only series.
    ///
    /// ```
    /// use zibrato::Annotation;
    /// use zibrato::window::{Fold, Window};
    /// # fn main() -> Result<(), zibrato::AnnotationError> {
    /// let mut window = Window::new(0, 60_000, 100);
    /// window.add_annotation("ci", &Annotation::new("deploys", "version 7 is live", 30_000)?);
    /// window.count_annotations();
    /// let series = &window.into_series()[0];
    /// assert_eq!((&*series.name, &series.value), ("annotations.deploys", &Fold::Counter(1.0)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn count_annotations(&mut self) {
        let folded = self.folded;
        for WindowAnnotation { source, annotation } in std::mem::take(&mut self.annotations.kept) {
            self.fold_series(&source, &annotation.counter_name(), &[], &Fold::Counter(1.0));
        }
        self.folded = folded;
    }
}
