//! What an instrument sends of what is measured, for the tests beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;
use zibrato::wire::{Ack, BatchReader, Message, Value, ack_topic, message};
use zibrato::{Stats, Zibrato, zmq};

/// How often each series of level `info` was measured, with its tags, by what `measure` does; and
/// what became of all readings.
pub(crate) fn sent(measure: impl FnOnce()) -> (BTreeMap<String, f64>, Stats) {
    // There is one place for an instrument, and tests run side by side.
    static PLACE: Mutex<()> = Mutex::new(());
    let _place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    let context = zmq::Context::new();
    let open = |kind| {
        let socket = context.socket(kind).unwrap();
        socket.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = socket.get_last_endpoint().unwrap().unwrap();
        (socket, endpoint.rsplit_once(':').unwrap().1.parse().unwrap())
    };
    let ((pull, port), (publish, control_port)) = (open(zmq::PULL), open(zmq::XPUB));
    pull.set_rcvtimeo(10_000).unwrap();
    let guard = Zibrato::builder()
        .port(port)
        .control_port(control_port)
        .levels(["info"])
        .interval(Duration::from_secs(3600))
        .flush_deadline(Duration::from_secs(20))
        .install()
        .unwrap();
    measure();
    let ending = Builder::new().spawn(move || guard.shutdown()).unwrap();
    let (mut series, mut seen) = (BTreeMap::new(), BTreeSet::new());
    while !ending.is_finished() || pull.poll(zmq::POLLIN, 0).unwrap() > 0 {
        if pull.poll(zmq::POLLIN, 10).unwrap() == 0 {
            continue;
        }
        let frames = pull.recv_multipart(0).unwrap();
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        let Message::Batch { level: "info", id, body, .. } = message(&frames).unwrap() else {
            panic!("not a batch of level info: {frames:?}")
        };
        let ack = Ack { sequences: [("info".to_owned(), id.sequence)].into() }.encode();
        publish.send_multipart([ack_topic(id.publisher).as_bytes(), &ack], 0).unwrap();
        // Until it is heard, a batch comes several times.
        if !seen.insert(id.sequence) {
            continue;
        }
        for entry in BatchReader::new(body).unwrap().entries().map(Result::unwrap) {
            let tags = entry.tags.map(|(tag, value)| format!(";{tag}={value}"));
            let times = match entry.value {
                Value::Counter(sum) => sum,
                Value::Gauge(gauge) => gauge.count as f64,
                Value::Timer(timer) => timer.count as f64,
                Value::TimerReadings(readings) => readings.count() as f64,
                other => panic!("{other:?}"),
            };
            *series.entry(format!("{}{}", entry.name, tags.collect::<String>())).or_default() +=
                times;
        }
    }
    (series, ending.join().unwrap())
}
