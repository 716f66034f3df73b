//! CollectD's datagrams through a real socket, to what a subscriber receives.

mod log;

use crate::harness::{Bench, Seen, Subscriber};
use aes::Aes256;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ofb::Ofb;
use ofb::cipher::{KeyIvInit as _, StreamCipher as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::path::PathBuf;
use tempfile::TempDir;
use zibrato::wire::{BatchReader, Value};
use zibrato_broker::{Collectd, Config, StartError};

const TYPES: &str = "\
gauge value:GAUGE:U:U
derive value:DERIVE:U:U
counter value:COUNTER:U:U
absolute value:ABSOLUTE:0:U
load shortterm:GAUGE:0:5000, midterm:GAUGE:0:5000, longterm:GAUGE:0:5000
if_octets rx:DERIVE:0:U tx:DERIVE:0:U
";

/// A gauge `test.gauge` of `toroid.local`, 42, signed and encrypted with `alice: 12345678`, as
/// CollectD does it.
const SIGNED: &str = "0200002963265b02f0d29971b658477ef714ebffb8fe69b41d3805d0153413cdd8d660c1\
    616c69636500000011746f726f69642e6c6f63616c000001000c000000004ebc68590007000c00000000000000\
    0a00020009746573740000030005000004000a67617567650000050005000006000f0001010000000000004540";
const ENCRYPTED: &str = "021000840005616c696365000102030405060708090a0b0c0d0e0f54a02c60caba3003\
    26f510c726d1c5372a7665c07a7dfd18248669c75cb7bef8d16d6303562e8fc6d85d4eac77f8bfe8ec1e4f9ff9\
    04be8799328d74ef1bc4f8bffbcd20abaddcf9ef42f66e74a7e41357c7462dc6a923ef899fca7639ff2fd4d29d\
    d5b3d5d73164c3";

/// A broker that listens for CollectD, and a subscriber.
struct Setup {
    bench: Bench,
    subscriber: Subscriber,
    socket: UdpSocket,
    folder: TempDir,
}

impl Setup {
    fn start(configure: impl FnOnce(Collectd, &TempDir) -> Collectd) -> Self {
        Self::with_rules("", configure)
    }

    fn with_rules(rules: &str, configure: impl FnOnce(Collectd, &TempDir) -> Collectd) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let types = file(&folder, "types.db", TYPES);
        let collectd = Collectd::new().listen("127.0.0.1:0").unwrap().types_db(types);
        let mut config = Config::new().intake(configure(collectd, &folder));
        if !rules.is_empty() {
            config = config.rules(file(&folder, "rules.toml", rules)).unwrap();
        }
        let bench = Bench::with(config);
        let subscriber = bench.subscribe(&["zb1|info|"]);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self { bench, subscriber, socket, folder }
    }

    fn send(&self, datagram: &[u8]) {
        let to = self.bench.broker.intake_address("collectd").unwrap();
        assert_eq!(self.socket.send_to(datagram, to).unwrap(), datagram.len());
    }

    /// Receives gauges until there are some with these names. Returns all that were received, with
    /// the source and the time in seconds.
    #[track_caller]
    fn gauges(&self, names: &[&str]) -> BTreeMap<String, (String, f64, u64)> {
        let mut gauges = BTreeMap::new();
        while !names.iter().all(|name| gauges.contains_key(*name)) {
            let seen = self.subscriber.next();
            let Some(Seen::Batch { body, .. }) = seen else { panic!("{gauges:?}; {seen:?}") };
            let batch = BatchReader::new(&body).unwrap();
            for entry in batch.entries().map(Result::unwrap) {
                let Value::Gauge(gauge) = entry.value else { panic!("{entry:?}") };
                let gauge = (batch.source().to_owned(), gauge.last, gauge.at_ms / 1_000);
                gauges.insert(entry.name.to_owned(), gauge);
            }
        }
        gauges
    }

    fn rejected(&self) -> BTreeMap<&'static str, u64> {
        let counters = self.bench.broker.counters();
        (*counters.intake("collectd").unwrap().rejected).clone()
    }

    #[track_caller]
    fn until_rejected(&self, reason: &str, count: u64) {
        self.bench.until(reason, || self.rejected().get(reason) == Some(&count));
    }
}

fn file(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

fn part(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 4).unwrap();
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), payload].concat()
}

fn text(kind: u16, text: &str) -> Vec<u8> {
    part(kind, &[text.as_bytes(), b"\0"].concat())
}

/// Host, plugin, type, type instance and time.
fn header(type_name: &str, instance: &str, seconds: u64) -> Vec<u8> {
    let time = part(8, &(seconds << 30).to_be_bytes());
    let interval = part(9, &(10_u64 << 30).to_be_bytes());
    let id = [text(2, "p"), text(4, type_name), text(5, instance)].concat();
    [text(0, "web-1"), time, interval, id].concat()
}

fn values(values: &[(u8, [u8; 8])]) -> Vec<u8> {
    let kinds: Vec<_> = values.iter().map(|(kind, _)| *kind).collect();
    let data: Vec<_> = values.iter().flat_map(|(_, value)| *value).collect();
    part(6, &[&u16::try_from(values.len()).unwrap().to_be_bytes()[..], &kinds, &data].concat())
}

fn gauges(readings: &[f64]) -> Vec<u8> {
    values(&readings.iter().map(|reading| (1, reading.to_le_bytes())).collect::<Vec<_>>())
}

/// A datagram with one gauge.
fn gauge(instance: &str, reading: f64) -> Vec<u8> {
    [header("gauge", instance, 1_700_000_000), gauges(&[reading])].concat()
}

/// The parts of a gauge `p.gauge.new` with the present time, 42.
fn new_gauge() -> Vec<u8> {
    let now = zibrato::clock::unix_ms() / 1_000;
    [header("gauge", "new", now), gauges(&[42.0])].concat()
}

/// Parts that alice has signed.
fn sign(parts: &[u8]) -> Vec<u8> {
    let covered = [b"alice", parts].concat();
    let code = Hmac::<Sha256>::new_from_slice(b"12345678").unwrap().chain_update(&covered);
    let signature = part(0x200, &[&*code.finalize().into_bytes(), b"alice"].concat());
    [signature, parts.to_vec()].concat()
}

/// Parts that alice has encrypted.
fn encrypt(parts: &[u8]) -> Vec<u8> {
    let (key, iv) = (Sha256::digest(b"12345678"), [7; 16]);
    let mut body = [&*Sha1::digest(parts), parts].concat();
    Ofb::<Aes256>::new(&key, &iv.into()).apply_keystream(&mut body);
    part(0x210, &[b"\0\x05alice", &iv[..], &body].concat())
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[test]
fn values_become_gauges_with_the_host_as_source() {
    let setup = Setup::start(|collectd, _| collectd);
    let octets = |seconds, rx: u64, tx: u64| {
        let list = values(&[(2, rx.to_be_bytes()), (2, tx.to_be_bytes())]);
        [header("if_octets", "eth0", seconds), list].concat()
    };
    let absolute = |seconds, count: u64| {
        [header("absolute", "", seconds), values(&[(3, count.to_be_bytes())])].concat()
    };
    let load = [header("load", "", 1_700_000_005), gauges(&[0.5, 0.25, 0.125])].concat();
    setup.send(&[octets(1_700_000_000, 0, 7), absolute(1_700_000_000, 9), load].concat());
    setup.send(&[octets(1_700_000_010, 100, 7), absolute(1_700_000_010, 5)].concat());
    setup.send(&gauge("last", -1.0));
    let of = |value: f64, seconds: u64| ("web-1".to_owned(), value, 1_700_000_000_u64 + seconds);
    let expected = [
        ("p.absolute", of(0.5, 10)),
        ("p.gauge.last", of(-1.0, 0)),
        ("p.if_octets.eth0.rx", of(10.0, 10)),
        ("p.if_octets.eth0.tx", of(0.0, 10)),
        ("p.load.longterm", of(0.125, 5)),
        ("p.load.midterm", of(0.25, 5)),
        ("p.load.shortterm", of(0.5, 5)),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(name, of)| (name.to_owned(), of)).into();
    let received = setup.gauges(&expected.keys().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(received, expected);
    assert_eq!(setup.rejected(), BTreeMap::new());
}

#[test]
fn what_broke_other_servers_costs_only_itself() {
    let setup = Setup::start(|collectd, folder| {
        let auth = file(folder, "auth", "alice: 12345678\n");
        collectd.auth_file(auth).counter_eq_derive()
    });
    let rest = header("gauge", "lost", 1_700_000_000);
    let derive = |seconds, count: u64| {
        [header("derive", "", seconds), values(&[(0, count.to_be_bytes())])].concat()
    };
    let mut forged = bytes(SIGNED);
    *forged.last_mut().unwrap() ^= 1;
    let unknown = part(0x200, &[&[7; 32][..], b"bob"].concat());
    let mut wrong_key = bytes(ENCRYPTED);
    *wrong_key.last_mut().unwrap() ^= 1;
    let (mut kept, mut rejected) = (Vec::new(), BTreeMap::new());
    for (datagram, reason, also) in [
        // A values part without a count.
        (
            [gauge("a", 1.0), vec![0, 6, 0, 4], rest.clone(), gauges(&[9.0])].concat(),
            "truncated",
            Some("a"),
        ),
        // Times and intervals of another length.
        ([gauge("b", 1.0), part(1, &[0; 4]), gauges(&[9.0])].concat(), "part", Some("b")),
        ([gauge("c", 1.0), part(8, &[0; 12]), gauges(&[9.0])].concat(), "part", Some("c")),
        ([gauge("d", 1.0), part(7, &[]), gauges(&[9.0])].concat(), "part", Some("d")),
        // More values than the type has.
        ([gauge("e", 1.0), rest.clone(), gauges(&[1.0, 2.0])].concat(), "values", Some("e")),
        ([rest.clone(), gauges(&[1.0, 2.0]), gauge("f", 1.0)].concat(), "values", Some("f")),
        // No number.
        (
            [header("load", "", 1_700_000_000), gauges(&[0.5, f64::NAN, 0.5]), gauge("g", 1.0)]
                .concat(),
            "value",
            Some("g"),
        ),
        // Wrong signatures and keys.
        ([unknown.clone(), rest.clone(), gauges(&[9.0])].concat(), "user", None),
        (forged, "key", None),
        (wrong_key, "key", None),
        // A message.
        ([text(0x100, "disk full"), gauge("h", 1.0)].concat(), "notification", Some("h")),
        (vec![0xff; 65_507], "truncated", None),
        (vec![], "truncated", None),
    ] {
        setup.send(&datagram);
        *rejected.entry(reason).or_insert(0) += 1;
        also.iter().for_each(|instance| kept.push(format!("p.gauge.{instance}")));
    }
    // A counter where types.db has a derive: it can shrink.
    setup.send(&derive(1_700_000_000, 100));
    setup.send(&derive(1_700_000_010, 50));
    setup.send(&bytes(SIGNED));
    kept.extend(["p.derive", "test.gauge"].map(str::to_owned));
    let received = setup.gauges(&kept.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(received["p.derive"].1, -5.0);
    assert_eq!(received["p.load.longterm"].1, 0.5);
    assert_eq!(received["test.gauge"], ("toroid.local".to_owned(), 42.0, 1_320_970_329));
    assert!(received.keys().all(|name| !name.contains("lost")), "{received:?}");
    setup.bench.until("all are counted", || setup.rejected() == rejected);
}

#[test]
fn rules_mend_a_name_and_a_host_that_cannot_be_sent() {
    let rules = r#"
        [[rule]]
        match = { type_instance = "a|b" }
        rename = "mended"

        [[rule]]
        match = { host = "no|host" }
        host = "host"
        "#;
    let setup = Setup::with_rules(rules, |collectd, _| collectd);
    let of_host = [text(0, "no|host"), text(5, "d"), gauges(&[4.0])].concat();
    setup.send(&[gauge("a|b", 1.0), gauge("c|c", 2.0), gauge("e", 3.0), of_host].concat());
    let received = setup.gauges(&["mended", "p.gauge.e", "p.gauge.d"]);
    assert_eq!(received["mended"].1, 1.0);
    assert_eq!(received["p.gauge.d"].0, "host");
    setup.until_rejected("name", 1);
}

#[test]
fn a_signature_without_an_auth_file_is_skipped() {
    let setup = Setup::start(|collectd, _| collectd);
    setup.send(&bytes(SIGNED));
    assert_eq!(setup.gauges(&["test.gauge"])["test.gauge"].1, 42.0);
    setup.send(&[part(0x200, &[7; 33]), gauge("a", 1.0)].concat());
    assert_eq!(setup.gauges(&["p.gauge.a"])["p.gauge.a"].1, 1.0);
    assert_eq!(setup.rejected(), BTreeMap::new());
}

#[test]
fn the_largest_datagram_is_read_whole() {
    let setup = Setup::start(|collectd, _| collectd);
    let last = gauge("last", 1.0);
    let padding = part(0x0777, &vec![1; 65_507 - 4 - last.len()]);
    setup.send(&[padding, last].concat());
    assert_eq!(setup.gauges(&["p.gauge.last"])["p.gauge.last"].1, 1.0);
}

#[test]
fn only_what_is_protected_as_required_is_accepted() {
    for (require, refused) in [
        (Collectd::require_signatures as fn(Collectd) -> Collectd, &[gauge("plain", 1.0)][..]),
        (Collectd::require_encryption, &[gauge("plain", 1.0), bytes(SIGNED)]),
    ] {
        let setup = Setup::start(|collectd, folder| {
            require(collectd.auth_file(file(folder, "auth", "alice: 12345678\n")))
        });
        refused.iter().for_each(|datagram| setup.send(datagram));
        setup.until_rejected("security", refused.len() as u64);
        setup.send(&bytes(ENCRYPTED));
        setup.until_rejected("old", 1);
        setup.send(&encrypt(&new_gauge()));
        let received = setup.gauges(&["p.gauge.new"]);
        assert_eq!((received["p.gauge.new"].1, received.len()), (42.0, 1));
    }
}

#[test]
fn changed_files_are_read_again() {
    let setup = Setup::start(|collectd, folder| {
        collectd.auth_file(file(folder, "auth", "bob: 1\n")).require_signatures()
    });
    let signed = sign(&new_gauge());
    setup.send(&signed);
    setup.until_rejected("user", 1);
    let new = file(&setup.folder, "new", "alice: 12345678\n");
    fs::rename(new, setup.folder.path().join("auth")).unwrap();
    let lines = || setup.bench.broker.counters().intake("collectd").unwrap().lines;
    setup.bench.until("the new user", || {
        setup.send(&signed);
        lines() > 0
    });
    assert_eq!(setup.gauges(&["p.gauge.new"])["p.gauge.new"].1, 42.0);
    file(&setup.folder, "types.db", "gauge other:GAUGE:U:U, more:GAUGE:U:U\n");
    setup.bench.until("the new type", || {
        setup.send(&signed);
        setup.rejected().contains_key("values")
    });
}

#[test]
fn what_prevents_a_start_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let types = file(&folder, "types.db", TYPES);
    let on = || Collectd::new().listen("127.0.0.1:0").unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (collectd, expected) in [
        (on().types_db("/nowhere/types.db"), "--collectd-types /nowhere/types.db: No such file"),
        (
            on().types_db(&types).auth_file("/nowhere/auth"),
            "--collectd-auth-file /nowhere/auth: No such file",
        ),
        (
            on().types_db(&types).require_signatures(),
            "--collectd-security-level sign: it needs --collectd-auth-file",
        ),
        (
            Collectd::new().listen(&taken).unwrap().types_db(&types),
            &*format!("--collectd {taken}: the port is in use"),
        ),
    ] {
        let started = zibrato_broker::Broker::start(Config::new().port(0).intake(collectd));
        let Err(error @ StartError::Intake { .. }) = started else { panic!("{started:?}") };
        let found = error.to_string();
        assert!(found.starts_with("the intake collectd cannot start: "), "{found}");
        assert!(found.contains(expected), "{found}");
    }
    assert!(Collectd::new().listen("nowhere").unwrap_err().contains("HOST:PORT"));
}
