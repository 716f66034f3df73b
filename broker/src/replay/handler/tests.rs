//! Tests of cursors when clocks are set.

use super::*;
use crate::journal::{Directory, Health};
use std::path::Path;

const NOON: u64 = 1_700_000_040_000;
const HOUR_MS: u64 = 3_600_000;

fn handler(directory: &Path, now: Now) -> FetchHandler {
    let cursors = Cursors::load(directory).unwrap();
    let directory = Arc::new(Directory::open(directory).unwrap());
    let log = Log::new(directory, Vec::new(), (0, 0), Health::default()).unwrap();
    FetchHandler::new(Arc::new(log), cursors, (WantedLevels::default(), HOUR_MS), now)
}

/// Fetches and sends the answer. Returns whether the answer says that the cursor was forgotten.
fn fetch(handler: &mut FetchHandler, now: Now) -> bool {
    let result = fetch_without_sending(handler, now);
    result.tells.iter().for_each(|name| handler.has_told(name));
    result.head.forgotten
}

fn fetch_without_sending(handler: &mut FetchHandler, now: Now) -> FetchResult {
    let reader = Who { name: "a".to_owned(), session: "1".to_owned() };
    let (about, levels) = (String::new(), vec!["info".to_owned()]);
    let fetch = Fetch { reader, about, levels, after: None, wait_ms: 0, max_bytes: 1 };
    let outcome = handler.take(&ReplayRequest::Fetch(fetch), Origin::default(), now);
    let Outcome::Batches(result) = outcome else { panic!("an answer") };
    result
}

#[test]
fn a_clock_that_is_set_forgets_nobody_and_an_absence_does() {
    let dir = tempfile::tempdir().unwrap();
    let start = Now { at: Instant::now(), ms: NOON };
    let mut handler = handler(dir.path(), start);
    assert!(!fetch(&mut handler, start));
    let after = |seconds, ms| Now { at: start.at + Duration::from_secs(seconds), ms };
    // The wall clock jumps forward while the reader is away, as on a machine that starts in 1970.
    handler.look_after(after(10, NOON + 1_000 * HOUR_MS));
    assert_eq!(handler.list(start).len(), 1);
    handler.look_after(after(3_599, NOON));
    assert_eq!(handler.list(start).len(), 1);
    handler.look_after(after(3_601, NOON));
    assert_eq!(handler.list(start).len(), 0);
    // The reader is told once when it returns. An answer that cannot be sent does not count.
    let back = after(3_602, NOON);
    assert!(fetch_without_sending(&mut handler, back).head.forgotten);
    assert!(fetch(&mut handler, back) && !fetch(&mut handler, back));
}
