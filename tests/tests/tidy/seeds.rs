//! The fuzz seeds are written by the encoders, so that fuzzing begins with real messages.

use super::rewrites;
use std::collections::BTreeMap;
use std::fs;
use zibrato::wire::{
    Ack, BatchId, BatchWriter, Commit, CursorState, Fetch, Fetched, Position, PublisherId, Reader,
    ReplayAnswer, ReplayRequest, Reset, ResetTo, Stamp, WantedLevels, batch_topic,
};
use zibrato::{Annotation, Gauge, Summary};
use zibrato_tests::repository;

/// The seeds of one fuzz target: their names and bytes.
type Seeds = BTreeMap<&'static str, Vec<u8>>;

#[test]
fn the_fuzz_seeds_equal_the_output_of_the_encoders() {
    let lines = lines();
    let mut windows = batches();
    windows.extend(lines.clone());
    let all = [
        ("batch", batches()),
        ("collectd", collectd()),
        ("configuration", configuration()),
        ("control", control()),
        ("cursors", [("one", zibrato_broker::fuzzing::cursors_seed())].into()),
        ("frames", frames()),
        ("journal", journal()),
        ("librato", librato()),
        ("line", lines),
        ("metricsd", metricsd()),
        ("replay", replay()),
        ("slack", slack()),
        ("statsd", statsd()),
        ("window", windows),
    ];
    for (target, seeds) in all {
        let folder = repository().join("tests/fuzz/seeds").join(target);
        if rewrites() {
            fs::create_dir_all(&folder).unwrap();
            seeds.iter().for_each(|(name, bytes)| fs::write(folder.join(name), bytes).unwrap());
        }
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(&folder).into_iter().flatten().map(Result::unwrap) {
            found.insert(entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
        }
        let seeds: BTreeMap<_, _> = seeds.into_iter().map(|(n, b)| (n.to_owned(), b)).collect();
        assert!(
            found == seeds,
            "{} is out of date; ZIBRATO_TIDY=write cargo test -p zibrato-tests --test tidy",
            folder.display()
        );
    }
}

#[test]
fn every_fuzz_target_has_seeds() {
    for entry in fs::read_dir(repository().join("tests/fuzz/fuzz_targets")).unwrap() {
        let target = entry.unwrap().path();
        let seeds = repository().join("tests/fuzz/seeds").join(target.file_stem().unwrap());
        assert!(seeds.is_dir(), "{} is not there", seeds.display());
    }
}

fn configuration() -> Seeds {
    let texts = [
        ("all", "host = \"127.0.0.1\"\nport = 5550\nhttp = \"off\"\nkeep-levels = [\"info\"]\n"),
        ("dotted", "a.b = 1\n[c]\nd = 2020-01-01\n"),
        ("switch", "no-journal = true\nsettle = 0.5\n"),
        ("wrong", "port = \"x\"\nprot = 1\n"),
    ];
    texts.map(|(name, text)| (name, text.as_bytes().to_vec())).into()
}

fn slack() -> Seeds {
    let texts = [
        ("fence", "```\na.b;c=d 1.5e3 -1\n# no\n```\n`e +.5 4294967295`"),
        ("links", "<http://h.example.com|h.example.com>.load 1 1\n<@U1> a&amp;b <#C1|c> &lt;"),
        ("points", "1700000000.000001 1 1700000000\na\t2  1700000001.5\n\u{feff}b 3 0"),
        ("words", "good morning everyone\nThis message was deleted.\na nan 1"),
    ];
    texts.map(|(name, text)| (name, text.as_bytes().to_vec())).into()
}

fn statsd() -> Seeds {
    let texts = [
        ("fields", "a:1|c|@0.5|#env:prod,host:web-1|c:ci-01|T1700000000|e:x|card:low"),
        ("kinds", "gorets:1|c\nglork:320|ms|@0.1\ngaugor:+4|g\nuniques:765|s\n"),
        ("names", "a,k=v:1:2:3|d\na.[k=v]b:1|c:2|h\r\na;k=v:-1|g\n"),
        ("others", "_e{5,4}:title|text\n_sc|redis|0|m:down\n:\n|\na:?|g\n"),
        ("times", "b:5|g|T1656581400\nc:1|c|T18446744073709551615\nd:2|c|#t:1|T253402300799"),
    ];
    texts.map(|(name, text)| (name, text.as_bytes().to_vec())).into()
}

/// A byte for the options, then datagrams after their lengths.
fn collectd() -> Seeds {
    let part = |kind: u16, payload: &[u8]| {
        let length = u16::try_from(payload.len() + 4).unwrap();
        [&kind.to_be_bytes()[..], &length.to_be_bytes(), payload].concat()
    };
    let list = |seconds: u64, type_name: &[u8], values: &[(u8, [u8; 8])]| {
        let kinds: Vec<_> = values.iter().map(|(kind, _)| *kind).collect();
        let data: Vec<_> = values.iter().flat_map(|(_, value)| *value).collect();
        let count = u16::try_from(values.len()).unwrap().to_be_bytes();
        [
            part(0, b"web-1\0"),
            part(8, &(seconds << 30).to_be_bytes()),
            part(9, &(10_u64 << 30).to_be_bytes()),
            part(2, b"p\0"),
            part(3, b"0\0"),
            part(4, type_name),
            part(5, b"a.b\0"),
            part(6, &[&count[..], &kinds, &data].concat()),
        ]
        .concat()
    };
    let seed = |options: u8, datagrams: &[Vec<u8>]| {
        let length = |datagram: &Vec<u8>| u16::try_from(datagram.len()).unwrap().to_be_bytes();
        let framed = datagrams.iter().flat_map(|d| [&length(d)[..], d].concat());
        [options].into_iter().chain(framed).collect::<Vec<u8>>()
    };
    let octets = |seconds, n: u64| {
        list(seconds, b"if_octets\0", &[(2, n.to_be_bytes()), (2, (2 * n).to_be_bytes())])
    };
    let mixed = |seconds, n: u64| {
        let values = [(1, 0.5_f64.to_le_bytes()), (0, n.to_be_bytes()), (2, n.to_be_bytes())];
        list(seconds, b"mixed\0", &[&values[..], &[(3, n.to_be_bytes())]].concat())
    };
    let message = [part(0x101, &[0, 0, 0, 0, 0, 0, 0, 2]), part(0x100, b"disk full\0")].concat();
    [
        ("gauge", seed(4, &[list(100, b"gauge\0", &[(1, 1.0_f64.to_le_bytes())])])),
        ("message", seed(0, &[message])),
        ("mixed", seed(3, &[mixed(100, 1), mixed(110, 0), mixed(90, 5)])),
        ("octets", seed(0, &[octets(100, 1), octets(110, 11)])),
        ("signature", seed(0, &[part(0x200, &[[7; 32].as_slice(), b"alice"].concat())])),
    ]
    .into()
}

/// Steps of damage, four bytes each.
fn journal() -> Seeds {
    [
        ("cut", vec![0, 255, 30, 0]),
        ("flipped", vec![3, 0, 20, 1, 67, 1, 40, 128]),
        ("nothing", Vec::new()),
        ("put_in", vec![1, 1, 9, 7, 2, 2, 0, 0]),
    ]
    .into()
}

/// A host, and changes: kind and action, a name, and the type of the number with its bytes.
fn metricsd() -> Seeds {
    let host = b"\xaa\0\x01h\0";
    [
        ("counter", &b"\0\0\x01c\0\0\x02\0\0\x01c\0\x01\xfb"[..]),
        ("deleted", b"\x10\0\x01g\0\0\x02\x12\0\x01g\0\x11\0\x01g\0"),
        ("gauge", b"\x10\0\x01g\0\x41\x3f\xf8\0\0\0\0\0\0"),
        ("histogram", b"\x20\0\x01h\0\x10\0\x64\x20\0\x01h\0\x40\x40\x20\0\0"),
        ("meter", b"\x30\0\x01m\0\x20\0\0\0\x32"),
        ("timer", b"\x40\0\x01t\0\x31\0\0\0\0\0\0\0\x64"),
    ]
    .map(|(name, changes)| (name, [host, changes].concat()))
    .into()
}

/// The byte that chooses the request, and a body.
fn librato() -> Seeds {
    let gauges = r#"{"gauges":[{"name":"a b","value":1.5,"source":"s","measure_time":1700000042},
        {"name":"c","count":3,"sum":6,"min":1,"max":3,"sum_squares":14}],"counters":{"d":{"value":5}}}"#;
    let tagged = r#"{"tags":{"dc":"eu"},"time":1700000040,"measurements":[{"name":"a","value":1,
        "tags":{"host":"h","x":3}},{"name":"b","value":null,"count":1,"sum":2,"last":2}]}"#;
    let lists = r#"[{"values":[1,-2,0.5,null],"dstypes":["counter","derive","gauge","gauge"],
        "dsnames":["a","b","c","d"],"time":1700000042.125,"interval":10.000,"host":"h","plugin":"p",
        "plugin_instance":"","type":"t","type_instance":"x","meta":{"a":true}},{"values":7}]"#;
    let annotation = r#"{"title":"build 7","start_time":5,"links":[{"rel":"a","href":"b"}]}"#;
    [
        ("annotation", [&[2], annotation.as_bytes()].concat()),
        ("collectd", [&[5], lists.as_bytes()].concat()),
        ("form", b"\x01source=s&gauges[0][name]=a&gauges[0][value]=1&counters[][value]=5".to_vec()),
        ("form_annotation", b"\x03title=a+b&end_time=7".to_vec()),
        ("gauges", [&[0], gauges.as_bytes()].concat()),
        ("query", b"\x04offset=20&length=10&name=a%20b&sort=desc".to_vec()),
        ("tagged", [&[0], tagged.as_bytes()].concat()),
    ]
    .into()
}

/// The byte that chooses the topic, and a body.
fn replay() -> Seeds {
    let reader = || Reader { name: "zibrato-carbon".to_owned(), session: "5f3a".to_owned() };
    let at = Position { journal: 7, offset: 42 };
    let fetch = Fetch {
        reader: reader(),
        about: "web-1, process 42".to_owned(),
        levels: vec!["info".to_owned(), "*".to_owned()],
        after: Some(at),
        wait_ms: 1_000,
        max_bytes: 1 << 20,
    };
    let head = Fetched {
        next: at,
        complete_until_ms: Some(1_700_000_000_000),
        end: 43,
        gone: 1,
        forgotten: false,
    };
    let reset = Reset { name: "a".to_owned(), to: ResetTo::Time(1_700_000_000_000) };
    let seed = |choice: u8, [_, body]: [Vec<u8>; 2]| [&[choice][..], &body].concat();
    [
        ("fetch", seed(0, ReplayRequest::Fetch(fetch).encode())),
        ("commit", seed(1, ReplayRequest::Commit(Commit { reader: reader(), at }).encode())),
        ("reset", seed(4, ReplayRequest::Reset(reset).encode())),
        ("batches", seed(6, ReplayAnswer::Batches(head).encode())),
        ("list", seed(9, ReplayAnswer::Cursors(vec![CursorState::default()]).encode())),
    ]
    .into()
}

fn lines() -> Seeds {
    let texts = [
        ("counter", "info|Counter|logins|1|1700000000|web-1"),
        ("gauge", "crit|Gauge|gauge_name|-12.5|1700000042.25|not_specified"),
        ("histogram", "info|h|response.size|-0.5|1700000042|web-1"),
        ("many", "info|c|a|1|1|s\r\n\nbroken\ninfo|ms|b|2e-3|1|\n"),
        ("set", "billing|sets|users|alice|1700000042|web"),
        ("timer", "debug|timer|café.öffnen| 0.25 |1700000042|my prog/1"),
    ];
    texts.into_iter().map(|(name, text)| (name, text.as_bytes().to_vec())).collect()
}

fn batches() -> Seeds {
    let mut gauge = Gauge::reading(4.0, 1_700_000_000_100);
    gauge.merge(&Gauge::reading(2.5, 1_700_000_000_200));
    let summary: Summary = [0.011, 0.012, 0.4, 1e-6].into_iter().collect();
    let tags = [("table", "users"), ("dc", "eu")];

    let of = |fill: &dyn Fn(&mut BatchWriter)| {
        let mut batch = BatchWriter::new("web-1", 1_700_000_000_000, 1_000);
        fill(&mut batch);
        batch.finish()
    };
    let counter = |b: &mut BatchWriter| b.counter("logins", &[], 3.0);
    let one = |b: &mut BatchWriter| b.gauge("depth", &[], &Gauge::reading(-0.5, 1_700_000_000_500));
    let folded = |b: &mut BatchWriter| b.gauge("depth", &tags, &gauge);
    let each = |b: &mut BatchWriter| b.gauge_readings("depth", &[], &[(1_700_000_000_001, 7.0)]);
    let set = |b: &mut BatchWriter| b.set("users", &[], ["alice", "bob"].into_iter());
    let timer = |b: &mut BatchWriter| b.timer("db.query", &tags, &summary);
    let few = |b: &mut BatchWriter| b.timer_readings("db.query", &[], &[0.011, 0.012]);
    let histogram = |b: &mut BatchWriter| b.histogram("size", &tags, Some("bytes"), &summary);
    let sizes = |b: &mut BatchWriter| b.histogram_readings("size", &[], None, &[512.0, -0.5]);
    let deploy = Annotation::new("deploys", "version 7 is live", 1_700_000_000_100)
        .and_then(|deploy| deploy.with_tags(tags)?.with_end(1_700_000_000_900))
        .and_then(|deploy| deploy.with_description("first\n\tsecond"))
        .and_then(|deploy| deploy.with_link("ci", "https://ci/7", Some("the | build")))
        .unwrap();
    let annotation = |b: &mut BatchWriter| b.annotation(&deploy);
    let all: [&dyn Fn(&mut BatchWriter); 10] =
        [&annotation, &counter, &one, &folded, &each, &set, &timer, &few, &histogram, &sizes];
    BTreeMap::from([
        ("all-kinds", of(&|batch| all.iter().for_each(|fill| fill(batch)))),
        ("batch-annotation", of(&annotation)),
        ("batch-counter", of(&counter)),
        ("batch-empty", of(&|_| {})),
        ("batch-gauge", of(&folded)),
        ("batch-histogram", of(&histogram)),
        ("batch-set", of(&set)),
        ("batch-timer", of(&timer)),
        ("batch-timer-readings", of(&few)),
    ])
}

fn frames() -> Seeds {
    let topic = batch_topic("info");
    let id = BatchId { publisher: PublisherId([7; 16]), sequence: 42 }.encode();
    let stamp = Stamp { offset: 9, received_ms: 1_700_000_000_123 }.encode();
    let body = &batches()["batch-counter"];
    BTreeMap::from([
        ("from-broker", join(&[topic.as_bytes(), &id, &stamp, body])),
        ("from-publisher", join(&[topic.as_bytes(), &id, body])),
        ("line", join(&[b"info|Counter|logins|1|1700000000|web-1"])),
        ("other-version", join(&[b"zb2|info|", &id, body])),
    ])
}

/// A message as the target `frames` takes it: the number of frames, then each but the last with
/// its length before it.
fn join(frames: &[&[u8]]) -> Vec<u8> {
    let (last, others) = frames.split_last().unwrap();
    let mut input = vec![u8::try_from(frames.len()).unwrap()];
    for frame in others {
        input.push(u8::try_from(frame.len()).unwrap());
        input.extend_from_slice(frame);
    }
    input.extend_from_slice(last);
    input
}

fn control() -> Seeds {
    let levels = ["billing", "info"].map(|level| level.parse().unwrap());
    let wanted = WantedLevels { all: false, levels: levels.into() };
    let star = WantedLevels { all: true, ..WantedLevels::default() };
    let sequences = [("billing".to_owned(), 7), ("info".to_owned(), u64::MAX)];
    BTreeMap::from([
        ("acks", Ack { sequences: sequences.into() }.encode()),
        ("all-levels", star.encode()),
        ("two-levels", wanted.encode()),
    ])
}
