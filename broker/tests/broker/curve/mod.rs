//! A broker that encrypts: only allowed clients can send and receive.

mod revoked;

use crate::harness::{ANNA, Bench, DEADLINE, batch};
use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use zibrato::curve::{Curve, PublicKey, SecretKey};
use zibrato_broker::{Config, JournalConfig};

/// A broker that encrypts, and its key list.
struct Keyed {
    bench: Bench,
    key: PublicKey,
    own: SecretKey,
    folder: TempDir,
}

impl Keyed {
    fn start(allowed: &[&SecretKey]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = SecretKey::generate().unwrap();
        write(&list(&folder), allowed);
        let config = Config::new().curve(key.clone(), list(&folder));
        let config =
            config.journal(JournalConfig::new(folder.path().join("journal")).min_free_percent(0.0));
        let bench = Bench::with(config);
        Self { bench, key: *key.public_key(), own: key, folder }
    }

    /// Changes the list, and lets the broker reload it.
    fn allow(&self, allowed: &[&SecretKey]) {
        write(&list(&self.folder), allowed);
        self.bench.broker.reload_keys().unwrap().unwrap();
    }

    /// A socket that connects with this key.
    fn connect(&self, kind: zmq::SocketType, port: u16, own: &SecretKey) -> zmq::Socket {
        self.connect_to(kind, port, &Curve::new(self.key, own.clone()))
    }

    fn connect_to(&self, kind: zmq::SocketType, port: u16, curve: &Curve) -> zmq::Socket {
        let socket = self.socket(kind);
        curve.secure(&socket).unwrap();
        socket.connect(&self.bench.broker.endpoint(port)).unwrap();
        socket
    }

    fn socket(&self, kind: zmq::SocketType) -> zmq::Socket {
        let socket = self.bench.context.socket(kind).unwrap();
        socket.set_linger(0).unwrap();
        socket.set_rcvtimeo(DEADLINE.as_millis() as i32).unwrap();
        socket.set_sndtimeo(DEADLINE.as_millis() as i32).unwrap();
        if kind == zmq::SUB {
            socket.set_subscribe(b"").unwrap();
        }
        socket
    }

    fn push(&self, own: &SecretKey) -> zmq::Socket {
        self.connect(zmq::PUSH, self.bench.broker.port(), own)
    }

    fn subscribe(&self, own: &SecretKey) -> zmq::Socket {
        self.connect(zmq::SUB, self.bench.broker.publish_port(), own)
    }

    /// A socket that reads the journal.
    fn reader(&self, own: &SecretKey) -> zmq::Socket {
        self.connect(zmq::DEALER, self.bench.broker.replay_port(), own)
    }

    fn refused(&self, reason: &str) -> u64 {
        let mut all = self.bench.broker.counters().refused();
        all.find(|(r, _)| *r == reason).unwrap().1
    }
}

fn list(folder: &TempDir) -> PathBuf {
    folder.path().join("allowed")
}

fn write(list: &PathBuf, allowed: &[&SecretKey]) {
    let lines: String = allowed.iter().map(|key| format!("{} x\n", key.public_key())).collect();
    std::fs::write(list, lines).unwrap();
}

fn key() -> SecretKey {
    SecretKey::generate().unwrap()
}

/// Reads until this message arrives, and skips others.
#[track_caller]
fn hears(socket: &zmq::Socket, wanted: &[u8]) {
    while socket.recv_multipart(0).unwrap()[0] != wanted {}
}

#[test]
fn who_is_allowed_gets_in_and_out_at_every_endpoint() {
    let own = key();
    let keyed = Keyed::start(&[&own]);
    let subscriber = keyed.subscribe(&own);
    hears(&subscriber, b"zb!levels");
    let push = keyed.push(&own);
    push.send("info|c|pushed|1|1|s", 0).unwrap();
    hears(&subscriber, b"info|c|pushed|1|1|s");
    push.send_multipart(batch("info", ANNA, 1), 0).unwrap();
    hears(&subscriber, b"zb1|info|");
    let legacy = keyed.connect(zmq::XPUB, keyed.bench.broker.legacy_port(), &own);
    assert_eq!(legacy.recv_bytes(0).unwrap(), b"\x01");
    legacy.send("info|c|published|1|1|s", 0).unwrap();
    hears(&subscriber, b"info|c|published|1|1|s");
    let keys = keyed.bench.broker.counters().keys.unwrap();
    assert_eq!((keys.allowed, keys.refused_unknown, keys.refused_revoked), (1, 0, 0));
}

#[test]
fn who_has_no_key_or_a_wrong_one_gets_nothing_in_and_nothing_out() {
    let (own, stranger) = (key(), key());
    let keyed = Keyed::start(&[&own]);
    let broker = &keyed.bench.broker;
    let witness = keyed.subscribe(&own);
    hears(&witness, b"zb!levels");
    let ports = [
        (zmq::PUSH, broker.port()),
        (zmq::SUB, broker.publish_port()),
        (zmq::PUB, broker.legacy_port()),
    ];
    // Without a key, with a key that is not allowed, and with another broker's key.
    let mut sockets = Vec::new();
    for (kind, port) in ports {
        let plain = keyed.socket(kind);
        plain.connect(&broker.endpoint(port)).unwrap();
        let elsewhere = Curve::new(*stranger.public_key(), own.clone());
        let elsewhere = keyed.connect_to(kind, port, &elsewhere);
        sockets.extend([
            (kind, plain),
            (kind, keyed.connect(kind, port, &stranger)),
            (kind, elsewhere),
        ]);
    }
    for (_, socket) in sockets.iter().filter(|(kind, _)| *kind != zmq::SUB) {
        socket.set_sndtimeo(0).unwrap();
        // It has a queue of its own, whoever connects.
        socket.send("info|c|intruder|1|1|s", 0).ok();
    }
    // Without a key both sides find out, and it depends on who is first.
    let plain = || keyed.refused("mechanism") + keyed.refused("broken_off");
    keyed.bench.until("those without a key", || plain() >= 3);
    for reason in ["unknown_key", "server_key"] {
        keyed.bench.until(reason, || keyed.refused(reason) >= 3);
    }
    let push = keyed.push(&own);
    push.send("info|c|allowed|1|1|s", 0).unwrap();
    // Messages of the others would have arrived before.
    loop {
        let frames = witness.recv_multipart(0).unwrap();
        assert!(!frames[0].ends_with(b"intruder|1|1|s"));
        if frames[0] == b"info|c|allowed|1|1|s" {
            break;
        }
    }
    keyed.bench.until("the line is counted", || broker.counters().lines() == 1);
    assert_eq!(broker.counters().keys.unwrap().admitted, 2);
    for (_, socket) in sockets.iter().filter(|(kind, _)| *kind == zmq::SUB) {
        assert_eq!(socket.poll(zmq::POLLIN, 0).unwrap(), 0);
    }
}

#[test]
fn older_protocols_that_cannot_encrypt_get_nothing_in() {
    let own = key();
    let keyed = Keyed::start(&[&own]);
    let line = b"info|c|intruder|1|1|s";
    let frame = |flags: u8| [&[flags, line.len() as u8][..], line].concat();
    let unversioned = [&[0x01, 0x00][..], &[line.len() as u8 + 1, 0x00], line].concat();
    let signature = [0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f];
    let second = [&signature[..], &[1, 8], &[0, 0], &frame(0)].concat();
    let mut null = [&signature[..], &[3, 0], b"NULL"].concat();
    null.resize(64, 0);
    null.extend([&[4, 25][..], b"\x05READY\x0bSocket-Type\0\0\0\x04PUSH", &frame(0)].concat());
    for bytes in [unversioned, second, null] {
        let broker = &keyed.bench.broker;
        let mut stream = TcpStream::connect(("127.0.0.1", broker.port())).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(&bytes).unwrap();
        // The broker hangs up.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).ok();
    }
    let push = keyed.push(&own);
    push.send("info|c|allowed|1|1|s", 0).unwrap();
    keyed.bench.until("the line", || keyed.bench.broker.counters().lines() == 1);
}

#[test]
fn who_knows_the_folder_gets_in_without_tcp_and_keys_hold_there_too() {
    let own = key();
    let folder = tempfile::tempdir().unwrap();
    let (sockets, server) = (folder.path().join("run"), key());
    write(&list(&folder), &[&own]);
    let config = Config::new().curve(server.clone(), list(&folder)).host("off");
    let bench = Bench::with(config.ipc(&sockets, 0o600));
    let endpoint = format!("ipc://{}/publishers.sock", sockets.display());
    let curve = Curve::new(*server.public_key(), own);
    let [plain, keyed] = [None, Some(&curve)].map(|curve| {
        let push = bench.context.socket(zmq::PUSH).unwrap();
        push.set_linger(0).unwrap();
        if let Some(curve) = curve {
            curve.secure(&push).unwrap();
        }
        push.connect(&endpoint).unwrap();
        push
    });
    plain.send("info|c|intruder|1|1|s", 0).unwrap();
    keyed.send("info|c|n|1|1|s", 0).unwrap();
    bench.until("the line", || bench.broker.counters().lines() == 1);
    // Both sides detect it, in any order.
    bench.until("the refusal", || {
        let peers = bench.broker.counters().peers[0];
        peers.refused_mechanism + peers.broken_off > 0
    });
    let mode = std::fs::metadata(sockets.join("publishers.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(bench.broker.stop(Duration::from_secs(5)));
    assert!(!sockets.join("publishers.sock").exists());
}

#[test]
fn a_list_that_cannot_be_used_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let start =
        || Config::new().port(0).curve(key(), list(&folder)).check().unwrap_err().to_string();
    let gone = start();
    assert!(gone.starts_with("--allowed-keys") && gone.contains("allowed"), "{gone}");
    std::fs::write(list(&folder), key().expose_text()).unwrap();
    assert!(start().contains("line 1: this is a secret key"), "{}", start());
    std::fs::write(list(&folder), "").unwrap();
    std::fs::set_permissions(list(&folder), Permissions::from_mode(0o666)).unwrap();
    assert!(start().contains("chmod o-w"), "{}", start());
}

#[test]
fn with_keys_any_address_may_be_bound_but_not_for_pages() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(list(&folder), "").unwrap();
    let config = Config::new().host("0.0.0.0");
    assert!(config.check().unwrap_err().to_string().contains("--curve-key"));
    let config = config.curve(key(), list(&folder));
    config.check().unwrap();
    let pages = config.http(Some("0.0.0.0:5580".parse().unwrap()));
    assert!(pages.check().unwrap_err().to_string().contains("--http"));
    pages.insecure().check().unwrap();
}
