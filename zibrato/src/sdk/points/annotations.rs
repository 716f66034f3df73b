//! Annotations that wait for the sender.
//!
//! They are rare and cannot be added up, so they are queued one by one. While the broker is away,
//! they wait here, up to a limit. Later ones are lost and counted.

use crate::measurement::{Level, RecordedAnnotation};
use crate::sdk::cells::{busy, lock};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Maximum number of annotations that wait.
pub(crate) const MAX_WAITING: usize = 1_024;

/// Maximum length of the texts of all annotations that wait, in bytes: 4 MiB.
const MAX_WAITING_BYTES: usize = 4 << 20;

/// The annotations of an instrument that wait for the sender.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    waiting: Mutex<Waiting>,
    /// How many were ever queued.
    made: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    all: Vec<RecordedAnnotation>,
    bytes: usize,
}

impl Annotations {
    /// Queues an annotation, if there is room.
    #[must_use = "an annotation without room is lost, and must be counted"]
    pub(crate) fn push(&self, recorded: RecordedAnnotation) -> bool {
        busy(|| {
            let mut waiting = lock(&self.waiting);
            let bytes = waiting.bytes + recorded.annotation.bytes();
            if waiting.all.len() >= MAX_WAITING || bytes > MAX_WAITING_BYTES {
                return false;
            }
            waiting.bytes = bytes;
            waiting.all.push(recorded);
            self.made.fetch_add(1, Ordering::SeqCst);
            true
        })
    }

    /// Takes those of the levels that `of` wants, in the order in which they were queued.
    pub(crate) fn take(&self, of: impl Fn(&Level) -> bool) -> Vec<RecordedAnnotation> {
        busy(|| {
            let mut waiting = lock(&self.waiting);
            let all = std::mem::take(&mut waiting.all);
            let (taken, left): (Vec<_>, _) = all.into_iter().partition(|one| of(&one.level));
            waiting.all = left;
            waiting.bytes -= taken.iter().map(|one| one.annotation.bytes()).sum::<usize>();
            taken
        })
    }

    /// How many were ever queued.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::{Annotations, MAX_WAITING, MAX_WAITING_BYTES};
    use crate::measurement::{Annotation, RecordedAnnotation};

    fn recorded(level: &str, annotation: Annotation) -> RecordedAnnotation {
        let source = "web-1".parse().unwrap();
        RecordedAnnotation { level: level.parse().unwrap(), source, annotation }
    }

    fn titled(title: &str) -> Annotation {
        Annotation::new("deploys", title, 5).unwrap()
    }

    #[test]
    fn annotations_are_taken_by_level_in_their_order() {
        let annotations = Annotations::default();
        for (level, title) in [("info", "a"), ("warn", "b"), ("info", "c")] {
            assert!(annotations.push(recorded(level, titled(title))));
        }
        let titles = |level: &str| {
            let taken = annotations.take(|of| of.as_str() == level);
            taken.iter().map(|one| one.annotation.title().to_owned()).collect::<String>()
        };
        assert_eq!(
            (titles("info"), titles("info"), titles("warn")),
            ("ac".into(), "".into(), "b".into())
        );
        assert_eq!(annotations.made(), 3);
    }

    #[test]
    fn there_is_room_for_some_annotations_and_for_some_text() {
        let annotations = Annotations::default();
        let pushed =
            (0..MAX_WAITING + 5).filter(|_| annotations.push(recorded("info", titled("a"))));
        assert_eq!((pushed.count(), annotations.made()), (MAX_WAITING, MAX_WAITING as u64));
        annotations.take(|_| true);
        let long = (0..10).fold(titled("a"), |long, n| {
            long.with_link(&n.to_string(), &"x".repeat(2_048), None).unwrap()
        });
        let bytes = long.bytes();
        let pushed = (0..MAX_WAITING).filter(|_| annotations.push(recorded("info", long.clone())));
        assert_eq!(pushed.count(), MAX_WAITING_BYTES / bytes);
    }
}
