//! What becomes of cursors when clocks are set.

use super::*;
use crate::journal::{Directory, Health};
use std::path::Path;

const NOON: u64 = 1_700_000_040_000;
const HOUR_MS: u64 = 3_600_000;

fn desk(directory: &Path, now: Now) -> Desk {
    let cursors = Cursors::load(directory).unwrap();
    let directory = Arc::new(Directory::open(directory).unwrap());
    let log = Log::new(directory, Vec::new(), (0, 0), Health::default()).unwrap();
    Desk::new(Arc::new(log), cursors, (WantedLevels::default(), HOUR_MS), now)
}

/// Fetches. The answer is sent, and says whether the reader was forgotten.
fn fetch(desk: &mut Desk, now: Now) -> bool {
    let haul = fetch_unsent(desk, now);
    haul.tells.iter().for_each(|name| desk.has_told(name));
    haul.head.forgotten
}

fn fetch_unsent(desk: &mut Desk, now: Now) -> Haul {
    let reader = Who { name: "a".to_owned(), session: "1".to_owned() };
    let (about, levels) = (String::new(), vec!["info".to_owned()]);
    let fetch = Fetch { reader, about, levels, after: None, wait_ms: 0, max_bytes: 1 };
    let outcome = desk.take(&ReplayRequest::Fetch(fetch), Origin::default(), now);
    let Outcome::Batches(haul) = outcome else { panic!("an answer") };
    haul
}

#[test]
fn a_clock_that_is_set_forgets_nobody_and_an_absence_does() {
    let dir = tempfile::tempdir().unwrap();
    let start = Now { at: Instant::now(), ms: NOON };
    let mut desk = desk(dir.path(), start);
    assert!(!fetch(&mut desk, start));
    let after = |seconds, ms| Now { at: start.at + Duration::from_secs(seconds), ms };
    // A machine that began in 1970 has heard what time it is, while the reader is away.
    desk.look_after(after(10, NOON + 1_000 * HOUR_MS));
    assert_eq!(desk.list(start).len(), 1);
    desk.look_after(after(3_599, NOON));
    assert_eq!(desk.list(start).len(), 1);
    desk.look_after(after(3_601, NOON));
    assert_eq!(desk.list(start).len(), 0);
    // It is told so when it is back, and once; an answer that cannot be sent does not count.
    let back = after(3_602, NOON);
    assert!(fetch_unsent(&mut desk, back).head.forgotten);
    assert!(fetch(&mut desk, back) && !fetch(&mut desk, back));
}
