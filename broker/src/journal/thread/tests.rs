//! Which troubles are tried again at once.

use super::{SegmentLost, Trouble};
use std::io;

#[test]
fn a_segment_that_somebody_deletes_while_it_is_written_is_tried_again_at_once() {
    for (error, at_once) in [
        (io::Error::other(SegmentLost), true),
        (io::ErrorKind::StorageFull.into(), false),
        (io::Error::other("Input/output error"), false),
    ] {
        let trouble = Trouble::of(&error);
        assert_eq!(trouble.is_mended_at_once(), at_once, "{trouble:?}");
        assert_eq!(trouble.text(), error.to_string());
    }
}
