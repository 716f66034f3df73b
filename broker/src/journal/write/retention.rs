//! Decides which segments have expired, from the outline of the journal and the state of the disk.
//! Pure.

use crate::journal::config::Retention;
use crate::journal::log::Outline;

/// The disk that the journal is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Bytes that can still be written.
    pub(crate) free: u64,
    /// All its bytes.
    pub(crate) total: u64,
}

impl Disk {
    /// Number of bytes to free so that the disk has its minimum free space.
    pub(crate) fn short_of(self, retention: &Retention) -> u64 {
        let wanted = self.total as f64 * retention.min_free_percent / 100.0;
        (wanted as u64).saturating_sub(self.free)
    }
}

/// Number of the oldest segments to delete. The last one, which is written to, is kept.
///
/// For age and size, segments are deleted whether they were read or not; to free space on the disk,
/// only if every cursor has `passed` them.
pub(crate) fn expired(
    outline: &Outline,
    retention: &Retention,
    now_ms: u64,
    short_of: u64,
    passed: u64,
) -> usize {
    let mut bytes: u64 = outline.segments.iter().map(|segment| segment.bytes).sum();
    let mut short_of = short_of;
    let mut count = 0;
    for pair in outline.segments.windows(2) {
        let [segment, next] = pair else { break };
        let is_old = next.first_ms.saturating_add(retention.max_age_ms) < now_ms;
        let is_too_much = bytes > retention.max_bytes;
        let is_read = next.first - 1 <= passed;
        if !(is_old || is_too_much || short_of > 0 && is_read) {
            break;
        }
        bytes -= segment.bytes;
        short_of = short_of.saturating_sub(segment.bytes);
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::log::Segment;

    const KEEP: Retention = Retention { max_age_ms: 1_000, max_bytes: 100, min_free_percent: 5.0 };

    /// Segments of ten batches and ten bytes, one every 100 ms.
    fn outline(count: u64) -> Outline {
        let segment = |n| Segment {
            first: n * 10 + 1,
            first_ms: n * 100,
            marker: [0; 8],
            bytes: 10,
            copy: 0,
        };
        Outline { segments: (0..count).map(segment).collect(), end: count * 10 }
    }

    #[test]
    fn segments_go_when_all_in_them_is_too_old() {
        assert_eq!(expired(&outline(10), &KEEP, 1_100, 0, 0), 0);
        assert_eq!(expired(&outline(10), &KEEP, 1_101, 0, 0), 1);
        assert_eq!(expired(&outline(10), &KEEP, 1_301, 0, 0), 3);
        assert_eq!(expired(&outline(10), &KEEP, u64::MAX, 0, 0), 9);
        assert_eq!(expired(&outline(0), &KEEP, u64::MAX, 0, 0), 0);
    }

    #[test]
    fn segments_go_when_they_are_too_much() {
        assert_eq!(expired(&outline(10), &KEEP, 0, 0, 0), 0);
        assert_eq!(expired(&outline(13), &KEEP, 0, 0, 0), 3);
        assert_eq!(expired(&outline(3), &Retention { max_bytes: 0, ..KEEP }, 0, 0, 0), 2);
    }

    #[test]
    fn for_the_disk_only_what_was_read_goes() {
        assert_eq!(expired(&outline(10), &KEEP, 0, 15, u64::MAX), 2);
        assert_eq!(expired(&outline(10), &KEEP, 0, 1_000, u64::MAX), 9);
        assert_eq!(expired(&outline(10), &KEEP, 0, 1_000, 39), 3);
        assert_eq!(expired(&outline(10), &KEEP, 0, 1_000, 0), 0);
    }

    #[test]
    fn a_share_of_the_disk_stays_free() {
        let disk = |free| Disk { free, total: 1_000 };
        assert_eq!(disk(50).short_of(&KEEP), 0);
        assert_eq!(disk(49).short_of(&KEEP), 1);
        assert_eq!(disk(0).short_of(&Retention { min_free_percent: 0.0, ..KEEP }), 0);
    }
}
