//! Signed and encrypted datagrams of a real CollectD, which are recorded, and then sent again, changed,
//! or sent with other keys.

use super::Intakes;
use crate::collectd::collectd;
use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use zibrato_tests::DEADLINE;

/// The first datagrams that a real CollectD sends.
fn record(level: &str, user: &str, password: &str, count: usize) -> Vec<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let port = socket.local_addr().unwrap().port().to_string();
    let folder = tempfile::Builder::new().prefix("collectd-").tempdir().unwrap();
    let protection =
        format!("SecurityLevel \"{level}\"\nUsername \"{user}\"\nPassword \"{password}\"\n");
    let _collectd = collectd(&folder, &port, &protection);
    let mut datagram = vec![0; 65_536];
    (0..count)
        .map(|_| {
            let bytes = socket.recv(&mut datagram).unwrap();
            datagram[..bytes].to_vec()
        })
        .collect()
}

/// A broker that requires signatures or encryption, and knows alice.
fn start(level: &str) -> Intakes {
    Intakes::start_with(|folder| {
        let auth = folder.path().join("auth");
        fs::write(&auth, "alice: 12345678\n").unwrap();
        let auth = auth.display().to_string();
        let types = "/usr/share/collectd/types.db";
        let level = ["--collectd-security-level", level];
        let files = ["--collectd-auth-file", &auth, "--collectd-types", types];
        [&level[..], &files].concat().into_iter().map(str::to_owned).collect()
    })
}

/// Sends what must be rejected, and returns how many are rejected more for each reason.
#[track_caller]
fn rejects(intakes: &Intakes, datagram: &[u8]) -> BTreeMap<String, u64> {
    let before = intakes.rejected("collectd");
    intakes.send_alone("collectd", datagram);
    let mut more = intakes.rejected("collectd");
    for (reason, count) in before {
        *more.get_mut(&reason).unwrap() -= count;
    }
    more.retain(|_, count| *count > 0);
    more
}

#[track_caller]
fn one(intakes: &Intakes, datagram: &[u8], reason: &str) {
    let expected = BTreeMap::from([(reason.to_owned(), 1)]);
    assert_eq!(rejects(intakes, datagram), expected, "{reason}");
}

/// What is the same for signed and encrypted datagrams.
#[track_caller]
fn check(level: &str, of_collectd: &str) {
    let mut intakes = start(level);
    // Some intervals, whose length depends on the number of processors.
    let processors = std::thread::available_parallelism().unwrap().get();
    let good = record(of_collectd, "alice", "12345678", 8 + 2 * processors);
    let first = &good[0];
    // With another password, and a user who is not known.
    one(&intakes, &record(of_collectd, "alice", "wrong", 1)[0], "key");
    one(&intakes, &record(of_collectd, "mallory", "12345678", 1)[0], "user");
    // Any bit of the protected bytes that differs, and the name of the user.
    for at in [first.len() / 2, first.len() - 1] {
        let mut forged = first.clone();
        forged[at] ^= 1;
        one(&intakes, &forged, "key");
    }
    let user = first.windows(5).position(|five| five == b"alice").unwrap();
    let mut forged = first.clone();
    forged[user] = b'A';
    one(&intakes, &forged, "user");
    // Cut anywhere, it is rejected once.
    let before = intakes.rejected("collectd");
    let lengths = (1..first.len()).step_by(7);
    intakes.send_all("collectd", lengths.clone().map(|length| &first[..length]));
    let rejected = intakes.rejected("collectd");
    let sum = |all: &BTreeMap<_, u64>| all.values().sum::<u64>();
    assert_eq!(sum(&rejected), sum(&before) + lengths.count() as u64, "{rejected:?}");
    assert!(
        rejected["truncated"] > 0 && rejected.keys().eq(["key", "truncated", "user"]),
        "{rejected:?}"
    );
    assert_eq!(intakes.lines("collectd"), 0);
    let log = intakes.broker.running().says(&["rejected_by_intake", "reason=\"user\""]);
    assert!(log.contains("user mallory: "), "{log}");
    let log = intakes.broker.running().says(&["rejected_by_intake", "reason=\"key\""]);
    assert!(log.contains("user alice: "), "{log}");
    // After all of that, what is right is accepted.
    let sent = |intakes: &Intakes| {
        let before = intakes.lines("collectd");
        intakes.send_all("collectd", &good);
        intakes.lines("collectd") - before
    };
    let before = intakes.rejected("collectd");
    let accepted = sent(&intakes);
    assert_eq!(intakes.rejected("collectd"), before);
    assert!(accepted > 0);
    // Replayed, only the last values of gauges are accepted again, which changes nothing.
    let again = sent(&intakes);
    assert!(again < accepted, "{again} of {accepted}");
    assert!(intakes.rejected("collectd")["late"] > 0);
}

#[test]
fn signatures_that_are_wrong_forged_or_replayed_are_rejected() {
    check("sign", "Sign");
}

#[test]
fn encrypted_data_that_is_wrong_forged_or_replayed_is_rejected() {
    check("encrypt", "Encrypt");
}

#[test]
fn a_signature_protects_only_what_follows_it() {
    let intakes = start("sign");
    let signed = record("Sign", "alice", "12345678", 1).remove(0);
    let length = usize::from(u16::from_be_bytes([signed[2], signed[3]]));
    let (signature, list) = signed.split_at(length);
    one(&intakes, list, "security");
    one(&intakes, &[list, signature].concat(), "key");
    one(&intakes, &[signature, list, b"\x01\x00\x00\x06x\x00"].concat(), "key");
    one(&intakes, signature, "key");
    assert_eq!(intakes.lines("collectd"), 0);
    // A signed datagram is not encrypted.
    let encrypt = start("encrypt");
    one(&encrypt, &signed, "security");
    assert_eq!(encrypt.lines("collectd"), 0);
}
