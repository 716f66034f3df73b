//! Faults of the journal's folder under a running broker: acknowledged batches are on disk under
//! its path, or the broker acknowledges nothing and reports why.

mod lock;

use crate::client::Client;
use crate::harness::{Bench, DEADLINE, Seen, Subscriber, batch};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zibrato::wire::{
    Commit, Position, PublisherId, Refusal, ReplayAnswer, ReplayRequest, WantedLevels,
};
use zibrato_broker::{Broker, Config, Health, JournalConfig};

const ME: PublisherId = PublisherId([1; 16]);

/// A broker that keeps everything, and a publisher.
struct Kept {
    bench: Bench,
    push: zmq::Socket,
    acks: Subscriber,
    sequence: u64,
}

fn settings(folder: &Path) -> JournalConfig {
    // Without the broker's own measurements, which are published every second.
    let levels = WantedLevels { all: false, levels: ["info".parse().unwrap()].into() };
    JournalConfig::new(folder).min_free_percent(0.0).keep_levels(levels)
}

impl Kept {
    fn start(folder: &Path) -> Self {
        Self::with(settings(folder))
    }

    fn with(journal: JournalConfig) -> Self {
        let http = Some("127.0.0.1:0".parse().unwrap());
        let bench = Bench::with(Config::new().journal(journal).http(http));
        let acks = bench.subscribe(&[&zibrato::wire::ack_topic(ME)]);
        Self { push: bench.push(), acks, bench, sequence: 0 }
    }

    fn send(&mut self) {
        self.sequence += 1;
        self.push.send_multipart(batch("info", ME, self.sequence), 0).unwrap();
    }

    /// Waits until all that was sent is acknowledged.
    fn acknowledged(&self) {
        loop {
            match self.acks.next().expect("an acknowledgement") {
                Seen::Ack(_, ack) if ack.sequences.get("info") == Some(&self.sequence) => return,
                _ => {}
            }
        }
    }

    fn sends(&mut self, batches: u64) {
        (0..batches).for_each(|_| self.send());
        self.acknowledged();
    }

    fn health(&self) -> Health {
        self.bench.broker.counters().journal.unwrap_or_default()
    }

    fn page(&self, path: &str) -> String {
        let address = self.bench.broker.http_addr().unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[track_caller]
    fn is_unready(&self, why: &str) {
        self.bench.until(why, || self.page("/readyz").contains(why));
    }

    #[track_caller]
    fn is_ready(&self) {
        self.bench.until("it is ready", || self.page("/readyz").contains(" 200 "));
    }

    fn client(&self, session: &str) -> Client {
        Client::new(&self.bench, "a", session, &["info"])
    }

    /// The sequences that are in the journal of a broker that is started on it now.
    fn reopened(self, folder: &Path) -> Vec<u64> {
        drop(self);
        let kept = Self::start(folder);
        let client = kept.client("again");
        let start = Position { journal: client.fetch(None, 0).0.next.journal, offset: 0 };
        client.fetch_all(Some(start)).1.iter().map(|(_, id, ..)| id.sequence).collect()
    }
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|p| p.extension().is_some_and(|e| e == "zbj")).collect();
    found.sort();
    found
}

#[test]
fn a_folder_that_is_deleted_is_made_again_with_what_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("journal");
    let mut kept = Kept::start(&folder);
    kept.client("1").fetch(None, 0);
    kept.sends(5);
    fs::remove_dir_all(&folder).unwrap();
    // Also when nothing arrives.
    kept.bench.until("it is made again", || folder.join("id").exists());
    kept.bench.until("so are the cursors", || folder.join("cursors").exists());
    kept.sends(5);
    fs::remove_dir_all(&folder).unwrap();
    kept.sends(5);
    kept.bench.until("so is the rest", || {
        ["watermark", "lock", "cursors"].iter().all(|file| folder.join(file).exists())
    });
    kept.is_ready();
    assert_eq!(kept.reopened(&folder), (1..=15).collect::<Vec<_>>());
}

#[test]
fn a_folder_whose_parent_is_gone_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let above = dir.path().join("a");
    let folder = above.join("journal");
    let mut kept = Kept::start(&folder);
    kept.sends(3);
    fs::remove_dir_all(&above).unwrap();
    kept.send();
    kept.is_unready("it was deleted, and so was");
    fs::create_dir(&above).unwrap();
    kept.acknowledged();
    assert_eq!(kept.reopened(&folder), [1, 2, 3, 4]);
}

#[test]
fn a_folder_that_is_moved_is_waited_for_and_another_in_its_place_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, elsewhere) = (dir.path().join("journal"), dir.path().join("elsewhere"));
    for put_another in [false, true] {
        let mut kept = Kept::start(&folder);
        kept.sends(3);
        fs::rename(&folder, &elsewhere).unwrap();
        if put_another {
            fs::create_dir(&folder).unwrap();
        }
        // Before anything comes: within a second or so.
        kept.is_unready(&format!("it was moved to {}", elsewhere.display()));
        let is_unwritable = || kept.page("/metrics").contains("zibrato_broker_journal_writable 0");
        kept.bench.until("it is unwritable", is_unwritable);
        kept.send();
        kept.acks.socket.set_rcvtimeo(1_500).unwrap();
        assert_eq!(kept.acks.next(), None, "nothing is acknowledged");
        kept.acks.socket.set_rcvtimeo(DEADLINE.as_millis() as i32).unwrap();
        if put_another {
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "nothing is written there");
            fs::remove_dir(&folder).unwrap();
        }
        fs::rename(&elsewhere, &folder).unwrap();
        kept.acknowledged();
        kept.is_ready();
        assert_eq!(kept.reopened(&folder), [1, 2, 3, 4]);
        fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn a_deleted_last_segment_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Kept::start(dir.path());
    let client = kept.client("1");
    let start = client.fetch(None, 0).0.next;
    kept.sends(5);
    // A reader that has the file open.
    let after = client.fetch_all(Some(start)).0.next;
    fs::remove_file(segments(dir.path()).last().unwrap()).unwrap();
    kept.bench.until("it is there again", || !segments(dir.path()).is_empty());
    kept.sends(5);
    let all = client.fetch_all(Some(after));
    assert_eq!(all.1.iter().map(|(_, id, ..)| id.sequence).collect::<Vec<_>>(), [6, 7, 8, 9, 10]);
    assert_eq!((all.0.gone, kept.health().lost_bytes), (0, 0));
    fs::remove_file(segments(dir.path()).last().unwrap()).unwrap();
    kept.sends(5);
    assert_eq!(kept.reopened(dir.path()), (1..=15).collect::<Vec<_>>());
}

#[test]
fn segments_that_somebody_deletes_or_cuts_are_counted_and_readers_are_told() {
    let dir = tempfile::tempdir().unwrap();
    // Every batch has a segment of its own.
    let mut kept = Kept::with(settings(dir.path()).segment_bytes(1));
    let client = kept.client("1");
    let start = client.fetch(None, 0).0.next;
    for _ in 0..5 {
        kept.sends(1);
    }
    assert!(segments(dir.path()).len() >= 5);
    fs::remove_file(&segments(dir.path())[1]).unwrap();
    kept.bench.until("it is counted", || kept.health().lost_bytes > 0);
    let lost = kept.health().lost_bytes;
    let cut = fs::OpenOptions::new().write(true).open(segments(dir.path()).last().unwrap());
    cut.unwrap().set_len(10).unwrap();
    kept.bench.until("that too", || kept.health().lost_bytes > lost);
    kept.sends(1);
    let all = client.fetch_all(Some(start));
    let sequences: Vec<_> = all.1.iter().map(|(_, id, ..)| id.sequence).collect();
    assert_eq!(sequences, [1, 3, 4, 6]);
    let page = kept.page("/metrics");
    assert!(page.contains("zibrato_broker_journal_lost_bytes_total"), "{page}");
    kept.is_ready();
}

#[test]
fn a_reader_hears_that_the_journal_is_away_and_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, elsewhere) = (dir.path().join("journal"), dir.path().join("elsewhere"));
    let mut kept = Kept::start(&folder);
    kept.sends(5);
    let start = Position { journal: kept.client("0").fetch(None, 0).0.next.journal, offset: 0 };
    fs::rename(&folder, &elsewhere).unwrap();
    kept.is_unready("is missing: ");
    let late = Client::new(&kept.bench, "b", "1", &["info"]);
    let (why, text) = late.refused(&late.request(Some(start), 0, 1 << 20));
    assert_eq!(why, Refusal::Disk, "{text}");
    assert!(text.contains("cannot read its journal"), "{text}");
    fs::rename(&elsewhere, &folder).unwrap();
    kept.is_ready();
    let all = late.fetch_all(Some(start));
    assert_eq!((all.1.len(), all.0.gone), (5, 0));
}

#[test]
fn without_its_lock_file_a_journal_still_is_for_one_broker() {
    let dir = tempfile::tempdir().unwrap();
    let kept = Kept::start(dir.path());
    fs::remove_file(dir.path().join("lock")).unwrap();
    let second = || Broker::start(Config::new().port(0).journal(settings(dir.path())));
    let error = second().unwrap_err().to_string();
    assert!(error.contains("in use by another zibrato-broker"), "{error}");
    kept.bench.until("it is there again", || dir.path().join("lock").exists());
    let error = second().unwrap_err().to_string();
    assert!(error.contains("in use by another zibrato-broker"), "{error}");
    kept.is_ready();
}

#[test]
fn a_file_in_place_of_the_folder_is_called_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for folder in [file.clone(), file.join("journal")] {
        let error = Broker::start(Config::new().port(0).journal(settings(&folder))).unwrap_err();
        let text = format!("needs a folder, but {} is a file", file.display());
        assert!(error.to_string().contains(&text), "{error}");
    }
}

#[test]
fn a_link_that_leads_nowhere_is_called_one() {
    let dir = tempfile::tempdir().unwrap();
    let (link, target) = (dir.path().join("link"), dir.path().join("disk/journal"));
    symlink(&target, &link).unwrap();
    for folder in [link.clone(), link.join("journal")] {
        let error = Broker::start(Config::new().port(0).journal(settings(&folder))).unwrap_err();
        let text = format!("{} is a file or a dangling link", link.display());
        assert!(error.to_string().contains(&text), "{error}");
    }
    assert!(!target.exists(), "nothing is made where it leads");
}

#[test]
fn a_deleted_folder_behind_a_link_is_made_again_where_the_link_leads() {
    let dir = tempfile::tempdir().unwrap();
    let (link, target) = (dir.path().join("link"), dir.path().join("disk/journal"));
    fs::create_dir_all(&target).unwrap();
    symlink(&target, &link).unwrap();
    let mut kept = Kept::start(&link);
    kept.sends(3);
    fs::remove_dir_all(&target).unwrap();
    kept.sends(3);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(target.join("id").exists());
    kept.is_ready();
    assert_eq!(kept.reopened(&link), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn while_cursors_cannot_be_saved_delivery_goes_on_and_everybody_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Kept::start(dir.path());
    let client = kept.client("1");
    client.fetch(None, 0);
    kept.sends(5);
    // An obstacle to creating a file, even for root.
    let obstacle = dir.path().join("cursors.new");
    fs::create_dir(&obstacle).unwrap();
    let journal = client.fetch(None, 0).0.next.journal;
    for offset in 1..=3 {
        let at = Position { journal, offset };
        let ReplayAnswer::Refused(refused) = client.commit(at) else { panic!("it is not saved") };
        assert_eq!(refused.why, Refusal::NotSaved, "{}", refused.text);
        assert!(refused.text.contains("keeps trying"), "{}", refused.text);
        let folder = format!("the folder {} cannot be written", dir.path().display());
        assert!(refused.text.contains(&folder), "{}", refused.text);
        // It counts, for as long as the broker runs; so do newcomers.
        assert_eq!(client.cursors()[0].offset, offset);
        assert!(!client.fetch(Some(at), 0).1.is_empty());
    }
    Client::new(&kept.bench, "new", "1", &["info"]).fetch(None, 0);
    kept.is_unready("cursors cannot be saved");
    kept.is_unready(&dir.path().display().to_string());
    kept.is_unready("check its permissions and the free space on its disk");
    let page = kept.page("/metrics");
    assert!(page.contains("zibrato_broker_cursors_writable 0"), "{page}");
    assert!(!page.contains("zibrato_broker_cursor_save_failures_total 0"), "{page}");
    fs::remove_dir(&obstacle).unwrap();
    kept.is_ready();
    assert!(kept.page("/metrics").contains("zibrato_broker_cursors_writable 1"));
    drop(kept);
    let kept = Kept::start(dir.path());
    let offsets: Vec<_> = kept.client("2").cursors().iter().map(|c| c.offset).collect();
    assert_eq!(offsets, [3, 5], "it was saved without another commit");
}

#[test]
fn readers_whose_cursors_are_lost_begin_with_the_oldest_batch() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Kept::start(dir.path());
    let client = kept.client("1");
    let start = client.fetch(None, 0).0.next;
    kept.sends(5);
    client.commit(Position { offset: 2, ..start });
    drop(kept);
    let break_both = || {
        for file in ["cursors", "cursors.old"] {
            fs::write(dir.path().join(file), "a|2|broken\n").unwrap();
        }
    };
    break_both();
    // It is remembered, even if the broker restarts before the reader connects.
    drop(Kept::start(dir.path()));
    let kept = Kept::start(dir.path());
    let sequences = |client: &Client| {
        client.fetch_all(None).1.iter().map(|(_, id, ..)| id.sequence).collect::<Vec<_>>()
    };
    assert_eq!(sequences(&kept.client("2")), [1, 2, 3, 4, 5]);
    // Much later, an unknown name is a new one.
    drop(kept);
    let lost = fs::File::options().write(true).open(dir.path().join("cursors.lost")).unwrap();
    lost.set_modified(std::time::SystemTime::now() - Duration::from_secs(25 * 3_600)).unwrap();
    let kept = Kept::start(dir.path());
    assert_eq!(sequences(&Client::new(&kept.bench, "b", "1", &["info"])), [0_u64; 0]);
    assert!(!dir.path().join("cursors.lost").exists());
    let commit = Commit {
        reader: kept.client("3").reader,
        at: Position { journal: start.journal, offset: 5 },
    };
    let (answer, _) = kept.client("3").ask(&ReplayRequest::Commit(commit));
    assert!(matches!(answer, ReplayAnswer::Committed(_)), "{answer:?}");
}
