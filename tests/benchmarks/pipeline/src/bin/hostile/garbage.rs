//! Well-framed messages with meaningless content.

use crate::random::Random;
use zibrato::wire::{BatchWriter, Fetch, Position, Reader, ReplayRequest};
use zibrato::{Gauge, Summary};

/// Number of names in garbage; a worker has space for them.
const NAMES: u64 = 20_000;

/// Frames of a message for publishers' ports.
pub fn message(random: &mut Random) -> Vec<Vec<u8>> {
    match random.below(10) {
        0 => (0..random.below(8)).map(|_| random.bytes(300)).chain([vec![]]).collect(),
        1 => vec![random.bytes(5_000)],
        2 => vec![line(random).into_bytes()],
        3 => vec![(0..random.below(200)).map(|_| line(random) + "\n").collect::<String>().into()],
        4 => batch(random, random_topic, random_body),
        5 => batch(random, |_| b"zb1|garbage|".to_vec(), random_body),
        6 => batch(random, random_topic, sound_body),
        _ => batch(random, |_| b"zb1|garbage|".to_vec(), sound_body),
    }
}

fn line(random: &mut Random) -> String {
    const FIELDS: [&str; 18] = [
        "garbage",
        "g",
        "c",
        "s",
        "t",
        "set",
        "ms",
        "nan",
        "1e308",
        "-1e308",
        "5e-324",
        "1",
        "",
        "zb1",
        "*",
        "1700000000",
        "18446744073709551616",
        "\u{1f4a9}",
    ];
    let fields = if random.below(3) == 0 { random.below(9) } else { 6 };
    let mut line = vec!["garbage".to_owned()];
    line.extend((1..fields).map(|_| (*random.one_of(&FIELDS)).to_owned()));
    if random.below(2) == 0 && line.len() == 6 {
        line[1] = "t".to_owned();
        line[2] = format!("line.{}", random.below(NAMES));
        line[3] = f64::from_bits(random.next()).to_string();
        line[4] = "1700000000".to_owned();
    }
    line.join("|")
}

fn batch(
    random: &mut Random,
    topic: fn(&mut Random) -> Vec<u8>,
    body: fn(&mut Random) -> Vec<u8>,
) -> Vec<Vec<u8>> {
    let id = match random.below(20) {
        0 => random.bytes(60),
        // A new publisher each time, so that no batch is a duplicate.
        _ => (0..24).map(|_| random.next() as u8).collect(),
    };
    vec![topic(random), id, body(random)]
}

fn random_topic(random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => random.bytes(100),
        1 => format!("zb{}|garbage|", random.below(300)).into_bytes(),
        2 => format!("zb1|{}|", random.next()).into_bytes(),
        _ => [b"zb1|", &random.bytes(70)[..], b"|"].concat(),
    }
}

fn random_body(random: &mut Random) -> Vec<u8> {
    match random.below(3) {
        0 => random.bytes(20_000),
        1 => {
            // An array whose length is far too large.
            let mut body = sound_body(random);
            let at = random.below(body.len() as u64) as usize;
            body[at] = *random.one_of(&[0xdd, 0xdf, 0xdb, 0xc6, 0xff]);
            body
        }
        _ => {
            let mut body = sound_body(random);
            for _ in 0..random.below(20) {
                let at = random.below(body.len() as u64) as usize;
                body[at] = random.next() as u8;
            }
            body
        }
    }
}

/// The body of a valid batch: thousands of names, timers with the range of a double, huge sets.
fn sound_body(random: &mut Random) -> Vec<u8> {
    let mut batch = BatchWriter::new(*random.one_of(&["a", "b", "c"]), random.next() >> 20, 1_000);
    for _ in 0..random.below(50) {
        let name = format!("garbage.{}", random.below(NAMES));
        let number = f64::from_bits(random.next());
        let number = if number.is_finite() { number } else { f64::MAX };
        match random.below(6) {
            0 => batch.counter(&name, &[], number),
            1 => batch.gauge(&name, &[("a", "b")], &Gauge::reading(number, random.next())),
            2 => batch.gauge_readings(&name, &[], &[(random.next(), number); 20]),
            3 => {
                let members: Vec<_> = (0..20).map(|_| random.next().to_string()).collect();
                batch.set(&name, &[], members.iter().map(String::as_str));
            }
            _ => {
                let mut wide = Summary::default();
                for _ in 0..random.below(400) {
                    wide.record(f64::from_bits(random.next()));
                }
                batch.timer(&name, &[], &wide);
            }
        }
    }
    batch.finish()
}

/// The frames of a request for the port of the journal.
pub fn request(random: &mut Random) -> [Vec<u8>; 2] {
    let reader = || Reader { name: String::new(), session: String::new() };
    let mut reader = reader();
    reader.name = format!("hostile-{}", random.below(3_000));
    reader.session = random.next().to_string();
    match random.below(8) {
        0 => [random.bytes(30), random.bytes(2_000)],
        1 => [b"zb!fetch".to_vec(), random.bytes(100_000)],
        2 => ReplayRequest::Cursors.encode(),
        3 => ReplayRequest::Release(reader).encode(),
        _ => {
            let after = (random.below(2) == 0)
                .then(|| Position { journal: random.next(), offset: random.next() >> 40 });
            let levels = match random.below(3) {
                0 => vec!["*".to_owned()],
                1 => (0..random.below(1_200)).map(|n| format!("level-{n}")).collect(),
                _ => vec!["garbage".to_owned()],
            };
            let (wait_ms, max_bytes) = (random.below(1 << 30), random.next());
            let about = "\u{1b}[2J".to_owned();
            ReplayRequest::Fetch(Fetch { reader, about, levels, after, wait_ms, max_bytes })
                .encode()
        }
    }
}
