//! Requests and answers are read as they were written; anything else is rejected.

use super::*;
use proptest::prelude::*;

const AT: Position = Position { journal: 7, offset: 42 };

fn reader() -> Reader {
    Reader { name: "zibrato-carbon".to_owned(), session: "00ff".to_owned() }
}

fn fetch(after: Option<Position>) -> Fetch {
    let levels = vec!["info".to_owned(), "warn".to_owned()];
    let about = "web-1, process 42".to_owned();
    Fetch { reader: reader(), about, levels, after, wait_ms: 1_000, max_bytes: 1 << 20 }
}

#[test]
fn requests_are_decoded_unchanged() {
    for request in [
        ReplayRequest::Fetch(fetch(None)),
        ReplayRequest::Fetch(fetch(Some(AT))),
        ReplayRequest::Commit(Commit { reader: reader(), at: AT }),
        ReplayRequest::Release(reader()),
        ReplayRequest::Cursors,
        ReplayRequest::Reset(Reset { name: "a".to_owned(), to: ResetTo::End }),
        ReplayRequest::Reset(Reset { name: "a".to_owned(), to: ResetTo::Offset(0) }),
        ReplayRequest::Reset(Reset { name: "a".to_owned(), to: ResetTo::Time(u64::MAX) }),
        ReplayRequest::Delete(Named { name: "a".to_owned() }),
    ] {
        let [topic, body] = request.encode();
        assert_eq!(ReplayRequest::decode(&topic, &body).unwrap(), request);
    }
}

#[test]
fn answers_are_decoded_unchanged() {
    let head =
        |until| Fetched { next: AT, complete_until_ms: until, end: 43, gone: 1, forgotten: false };
    let text = "another process reads under this name".to_owned();
    for answer in [
        ReplayAnswer::Batches(head(None)),
        ReplayAnswer::Batches(head(Some(1_700_000_000_000))),
        ReplayAnswer::Committed(AT),
        ReplayAnswer::Released,
        ReplayAnswer::Cursors(vec![CursorState::default(); 3]),
        ReplayAnswer::Done(Done { offset: 42 }),
        ReplayAnswer::Refused(Refused { why: Refusal::Owned, text: text.clone(), alive: true }),
        ReplayAnswer::Refused(Refused { why: Refusal::Disk, text, alive: false }),
    ] {
        let [topic, body] = answer.encode();
        assert_eq!(ReplayAnswer::decode(&topic, &body).unwrap(), answer);
    }
}

#[test]
fn keys_of_later_versions_are_skipped() {
    let body = rmp_serde::to_vec_named(&serde_map(&[("name", "a"), ("new", "b")])).unwrap();
    let request = ReplayRequest::decode(b"zb!delete", &body).unwrap();
    assert_eq!(request, ReplayRequest::Delete(Named { name: "a".to_owned() }));
    let body = rmp_serde::to_vec_named(&serde_map(&[("why", "tired"), ("text", "b")])).unwrap();
    let ReplayAnswer::Refused(refused) = ReplayAnswer::decode(b"zb!refused", &body).unwrap() else {
        panic!("expected a refusal");
    };
    assert_eq!(refused.why, Refusal::Other);
}

fn serde_map(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn other_frames_are_rejected() {
    assert!(matches!(ReplayRequest::decode(b"zb!more", b"\x80"), Err(ReplayError::Topic)));
    for body in [&b""[..], b"\x80", b"\xdf\xff\xff\xff\xff", b"\x81\xa4name\x01", b"\xc1"] {
        assert!(ReplayRequest::decode(b"zb!delete", body).is_err(), "{body:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for topic in [FETCH, COMMIT, RESET, BATCHES, LIST, REFUSED] {
            let _request = ReplayRequest::decode(topic, &body);
            let _answer = ReplayAnswer::decode(topic, &body);
        }
    }
}
