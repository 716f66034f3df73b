//! Lines, pickles and datagrams to a real Carbon, and pickles beside Python's own.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;
use zibrato::Zibrato;
use zibrato::window::Window;
use zibrato::wire::Line;
use zibrato_tests::{Broker, Carbon, DEADLINE, Running, Signal, wait_until};
use zibrato_workers::{Backend, SendError};

/// Reads frames as Carbon does, compares them with frames that Python would have written, and prints
/// the points.
const READ_FRAMES: &str = "
import io, pickle, struct, sys
from carbon.util import get_unpickler
data = open(sys.argv[1], 'rb')
longest = frames = 0
while header := data.read(4):
    length, = struct.unpack('!L', header)
    body = data.read(length)
    points = get_unpickler(insecure=False).loads(body)
    again = pickle.loads(pickle.dumps(points, protocol=2))
    assert again == points and body[:2] == pickle.dumps(points, protocol=2)[:2]
    longest, frames = max(longest, len(points)), frames + 1
    for name, (time, value) in points:
        print(name, repr(value), time)
print(frames, 'frames, at most', longest, 'points', file=sys.stderr)
";

#[test]
fn every_protocol_brings_the_same_points_into_carbon() {
    let (carbon, broker) = (Carbon::start(), Broker::start());
    let (lines, pickles) = (carbon.port(), carbon.pickle_port());
    let mut workers: Vec<_> = [
        ("tcp", format!("127.0.0.1:{lines}")),
        ("udp", format!("udp://127.0.0.1:{lines}")),
        ("pickle", format!("pickle://127.0.0.1:{pickles}")),
    ]
    .into_iter()
    .map(|(name, address)| {
        let names = ["--name", name, "--prefix", name];
        let args = ["--flush", "1", "--carbon", &address, "--pickle-batch", "3"];
        broker.worker("zibrato-carbon", &[names.as_slice(), &args].concat())
    })
    .collect();
    let builder = Zibrato::builder().port(broker.port()).source("web-1");
    let z = builder.interval(Duration::from_millis(100)).build().unwrap();
    for round in 1..=20_u32 {
        z.count("info", "logins", round);
        z.time("info", "db.query", Duration::from_millis(10) * round);
        z.set_gauge("info", "queue.depth", f64::from(round) / 3.0);
    }
    assert_eq!(z.flush(DEADLINE).pending, 0);
    for prefix in ["tcp", "udp", "pickle"] {
        wait_until(DEADLINE, "all counts", || {
            carbon.sum(&format!("{prefix}.web-1.logins")) == 210.0
                && carbon.sum(&format!("{prefix}.web-1.db.query.count")) == 20.0
        });
    }
    for worker in &mut workers {
        assert_eq!(worker.stop(Signal::TERM).code(), Some(0));
    }
    drop(z);
    let of = |prefix: &str| {
        let all = carbon.fetch_all().into_iter();
        let own =
            all.filter_map(|(name, points)| Some((name.strip_prefix(prefix)?.to_owned(), points)));
        own.filter(|(name, _)| !name.contains("zibrato")).collect::<Vec<_>>()
    };
    let expected = of("tcp.");
    assert!(expected.len() >= 11, "{expected:?}");
    // The last window of a worker is on its way to the disk when it has stopped.
    for prefix in ["udp.", "pickle."] {
        wait_until(DEADLINE, "the same points", || of(prefix) == expected);
    }
}

#[test]
fn ten_thousand_pickled_points_are_those_that_python_pickles() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("pickle://{}", listener.local_addr().unwrap());
    let read = || {
        let mut bytes = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut bytes).unwrap();
        bytes
    };
    let mut window = Window::new(1_700_000_000_000, 10_000, 20_000);
    for n in 0..10_000 {
        let value = f64::from(n) / 7.0 - 100.0;
        window.fold_line(&Line::decode(format!("i|g|café.{n}|{value:?}|1|s").as_bytes()).unwrap());
    }
    let mut carbon = zibrato_workers::carbon::Carbon::to(address.parse().unwrap());
    let payloads = carbon.payloads(window);
    let frames = std::thread::scope(|scope| {
        let reader = scope.spawn(read);
        for payload in &payloads {
            let sent: Result<(), SendError> = carbon.send(payload);
            sent.unwrap();
        }
        drop(carbon);
        reader.join().unwrap()
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames");
    fs::write(&file, frames).unwrap();

    let mut python = Command::new("/usr/bin/python3");
    let (status, output, log) = Running::run(python.args(["-c", READ_FRAMES]).arg(&file));
    assert!(status.success(), "{log}");
    assert!(log.ends_with("frames, at most 500 points\n"), "{log}");
    let points = |text: &str| -> Vec<(String, f64, u64)> {
        let fields = |line: &str| {
            let mut fields = line.split(' ').map(str::to_owned);
            let mut next = || fields.next().unwrap();
            (next(), next().parse().unwrap(), next().parse().unwrap())
        };
        text.lines().map(fields).collect()
    };
    let lines: Vec<u8> = payloads.iter().flat_map(|payload| payload.body.clone()).collect();
    let expected = points(std::str::from_utf8(&lines).unwrap());
    assert_eq!(expected.len(), 10_000);
    assert_eq!(points(&output), expected);
}

#[test]
fn lines_to_the_port_for_pickles_are_noticed_and_not_lost() {
    let (carbon, broker) = (Carbon::start(), Broker::start());
    let z = Zibrato::builder().port(broker.port()).source("web-1").build().unwrap();
    let worker = |port| {
        let address = format!("127.0.0.1:{port}");
        broker.worker("zibrato-carbon", &["--flush", "1", "--carbon", &address])
    };
    let mut wrong = worker(carbon.pickle_port());
    wrong.says(&["event=\"started\""]);
    z.count("info", "logins", 5);
    assert_eq!(z.flush(DEADLINE).pending, 0);
    wrong.says(&["event=\"disconnected\"", "is it the port for pickles?"]);
    assert_eq!(wrong.stop(Signal::TERM).code(), Some(0));
    let mut right = worker(carbon.port());
    wait_until(DEADLINE, "the counts", || carbon.sum("web-1.logins") == 5.0);
    assert_eq!(right.stop(Signal::TERM).code(), Some(0));
}
