//! Decodes a batch and adds it to a window. Rejected messages and entries are counted by reason.

use crate::idle_gauges::IdleGauges;
use std::collections::BTreeMap;
use zibrato::window::{MAX_ANNOTATION_BYTES, MAX_ANNOTATIONS, Window};
use zibrato::wire::{BatchId, BatchReader, EntryError, FrameError, Message, Stamp, message};

/// Counts of aggregated and rejected messages since the last call.
#[derive(Debug, Default)]
pub(crate) struct FoldCounts {
    pub(crate) batches: u64,
    pub(crate) duplicates: u64,
    pub(crate) entries: u64,
    pub(crate) late: u64,
    /// For each reason, the number of messages and the error of the first one.
    pub(crate) refused: BTreeMap<&'static str, (u64, String)>,
}

/// A batch with well-formed frames.
pub(super) struct Batch<'a> {
    pub(super) level: &'a str,
    pub(super) id: BatchId,
    pub(super) stamp: Option<Stamp>,
    pub(super) body: BatchReader<'a>,
}

impl FoldCounts {
    pub(super) fn refuse(&mut self, reason: &'static str, times: u64, why: impl ToString) {
        let refused = self.refused.entry(reason).or_insert_with(|| (0, why.to_string()));
        // Some of these counts are a publisher's claim, and can be as large as a `u64`.
        refused.0 = refused.0.saturating_add(times);
    }

    /// Decodes the frames of a batch. Anything else is rejected.
    pub(super) fn read<'a>(&mut self, frames: &[&'a [u8]]) -> Option<Batch<'a>> {
        let (level, id, stamp, body) = match message(frames) {
            Ok(Message::Batch { level, id, stamp, body }) => (level, id, stamp, body),
            Ok(_) => {
                self.refuse("frames", 1, "a message of one frame is not a batch");
                return None;
            }
            Err(error @ FrameError::Version { .. }) => {
                self.refuse("version", 1, error);
                return None;
            }
            Err(error) => {
                self.refuse("frames", 1, error);
                return None;
            }
        };
        let body = BatchReader::new(body).map_err(|error| self.refuse("body", 1, error)).ok()?;
        Some(Batch { level, id, stamp, body })
    }

    /// Adds a batch to its window.
    pub(super) fn fold(&mut self, window: &mut Window, batch: &BatchReader<'_>, idle: IdleGauges) {
        let (before, collapsed) = (window.folded(), window.collapsed());
        let (omitted, without_room) = (window.omitted_members(), window.omitted_annotations());
        for entry in batch.entries() {
            match entry.map(|entry| idle.apply(entry)) {
                Ok(Some(entry)) => window.fold_entry(batch.source(), &entry),
                Ok(None) => {}
                Err(error) => {
                    let times = match error {
                        EntryError::Malformed { lost } => u64::from(lost),
                        _ => 1,
                    };
                    self.refuse("entry", times, error);
                }
            }
        }
        self.batches += 1;
        self.entries += window.folded() - before;
        let collapsed = window.collapsed() - collapsed;
        if collapsed > 0 {
            let why = "the range of a timer or histogram is too wide for its buckets; its \
                       smallest readings were merged into larger ones";
            self.refuse("wide", collapsed, why);
        }
        let omitted = window.omitted_members() - omitted;
        if omitted > 0 {
            let why = "a set has more than 100,000 members in a window; further ones are omitted";
            self.refuse("members", omitted, why);
        }
        let without_room = window.omitted_annotations() - without_room;
        if without_room > 0 {
            let (source, stream) = window.annotation_offender().unwrap_or_default();
            let why = format!(
                "a window has more than {MAX_ANNOTATIONS} annotations, or {} MiB of them; further \
                 ones are only counted in annotations.STREAM, the first one of stream {stream:?} from {source:?}",
                MAX_ANNOTATION_BYTES >> 20
            );
            self.refuse("annotations", without_room, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FoldCounts;
    use crate::idle_gauges::IdleGauges;
    use zibrato::Annotation;
    use zibrato::window::{MAX_ANNOTATIONS, MAX_SET_MEMBERS, Window};
    use zibrato::wire::{BatchReader, BatchWriter};

    #[test]
    fn members_for_which_a_set_has_no_room_are_counted() {
        let members: Vec<_> = (0..MAX_SET_MEMBERS + 2).map(|n| n.to_string()).collect();
        let mut batch = BatchWriter::new("web-1", 0, 1_000);
        batch.set("users", &[], members.iter().map(|member| &**member));
        let body = batch.finish();
        let (mut counts, mut window) = (FoldCounts::default(), Window::new(0, 1_000, 10));
        let batch = BatchReader::new(&body).unwrap();
        counts.fold(&mut window, &batch, IdleGauges::default());
        assert_eq!((counts.entries, counts.refused["members"].0), (1, 2));
    }

    #[test]
    fn annotations_for_which_a_window_has_no_room_are_counted() {
        let mut batch = BatchWriter::new("web-1", 0, 1_000);
        let deploy = Annotation::new("deploys", "live", 1).unwrap();
        (0..MAX_ANNOTATIONS + 2).for_each(|_| batch.annotation(&deploy));
        let body = batch.finish();
        let (mut counts, mut window) = (FoldCounts::default(), Window::new(0, 1_000, 10));
        let batch = BatchReader::new(&body).unwrap();
        counts.fold(&mut window, &batch, IdleGauges::default());
        let (times, why) = &counts.refused["annotations"];
        assert_eq!((counts.entries, *times), (MAX_ANNOTATIONS as u64 + 2, 2));
        assert!(why.ends_with(r#"stream "deploys" from "web-1""#), "{why}");
    }

    #[test]
    fn counts_near_the_largest_integer_saturate() {
        let mut counts = FoldCounts::default();
        counts.refuse("wide", u64::MAX - 1, "first");
        counts.refuse("wide", 2, "second");
        assert_eq!(counts.refused["wide"], (u64::MAX, "first".to_owned()));
    }
}
