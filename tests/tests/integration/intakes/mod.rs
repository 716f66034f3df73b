//! StatsD, CollectD and MetricsD, from the sockets of a broker to what a worker receives.

mod clients;
mod collectd;
mod distinct_names;
mod hostile;
mod metricsd;
mod parts;
mod recorded;
mod statsd;

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use tempfile::TempDir;
use zibrato::window::{Fold, Window};
use zibrato::wire::{BatchReader, Message, message};
use zibrato_tests::{Broker, DEADLINE, Received, wait_until};

/// A `types.db`, with lines that are wrong between the others.
const TYPES: &str = "\
gauge value:GAUGE:U:U
wrong
derive value:DERIVE:U:U
gauge2 value:GAUGE:zero:U
counter value:COUNTER:U:U
wrong value:NUMBER:0:1
absolute value:ABSOLUTE:U:U
load shortterm:GAUGE:0:5000, midterm:GAUGE:0:5000, longterm:GAUGE:0:5000
percent value:GAUGE:0:100
";

/// The source of StatsD series that name none.
const SOURCE: &str = "here";

/// The source of the last measurement that a test sends. Batches of one second are in the order of
/// their sources.
const LAST: &str = "~";

/// Size of packets that the kernel has room for.
const QUEUE_BYTES: usize = 50_000;

/// What a worker has of each series: `name;tag=value@source`, and its reading as text.
pub(crate) type Series = BTreeMap<String, String>;

/// A broker with all intakes, and a subscriber to what they publish.
pub(crate) struct Intakes {
    pub(crate) broker: Broker,
    /// The line that says where it listens.
    listening: String,
    subscriber: zmq::Socket,
    socket: UdpSocket,
    /// For sockets and files.
    pub(crate) folder: TempDir,
    /// The bodies of all batches that have arrived.
    batches: Vec<Vec<u8>>,
    lasts: u32,
}

impl Intakes {
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::start_with(|_| Vec::new())
    }

    /// Starts a broker with more flags, which get the folder for their files.
    #[track_caller]
    pub(crate) fn start_with(flags: impl FnOnce(&TempDir) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let types = folder.path().join("types.db");
        fs::write(&types, TYPES).unwrap();
        let mut args: Vec<_> = [
            "--no-journal",
            "--statsd",
            "127.0.0.1:0,dogstatsd://127.0.0.1:0",
            "--statsd-source",
            SOURCE,
            "--collectd",
            "127.0.0.1:0",
            "--metricsd",
            "127.0.0.1:0",
        ]
        .map(str::to_owned)
        .into();
        args.extend(["--collectd-types".to_owned(), types.display().to_string()]);
        args.extend(flags(&folder));
        if !args.iter().any(|arg| arg == "--metricsd-interval") {
            args.extend(["--metricsd-interval", "0.2"].map(str::to_owned));
        }
        let args: Vec<_> = args.iter().map(|arg| &**arg).collect();
        let mut broker = Broker::start_with(&args);
        let listening = broker.running().says(&["event=\"listening\""]);
        let endpoint = format!("tcp://127.0.0.1:{}", broker.publishing_port());
        let subscriber = Received::subscriber(&endpoint);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let batches = Vec::new();
        let intakes = Self { broker, listening, subscriber, socket, folder, batches, lasts: 0 };
        intakes.until_subscribed();
        intakes
    }

    /// The broker tells a new subscriber which levels are wanted.
    fn until_subscribed(&self) {
        self.subscriber.set_subscribe(b"zb!levels").unwrap();
        while self.subscriber.recv_multipart(0).unwrap()[0] != b"zb!levels" {}
        self.subscriber.set_unsubscribe(b"zb!levels").unwrap();
    }

    /// The addresses of an intake.
    pub(crate) fn addresses(&self, intake: &str) -> Vec<SocketAddr> {
        let after = self.listening.split_once(&format!("{intake}=")).unwrap().1;
        let all = after.split([',', '"', ' ']).map_while(|address| address.parse().ok());
        all.collect()
    }

    /// The first address of an intake.
    pub(crate) fn address(&self, intake: &str) -> SocketAddr {
        self.addresses(intake)[0]
    }

    /// The address for a dialect of StatsD.
    pub(crate) fn dialect(&self, dialect: &str) -> SocketAddr {
        self.addresses("statsd")[usize::from(dialect == "dogstatsd")]
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn send(&self, to: SocketAddr, packet: impl AsRef<[u8]>) {
        self.socket.send_to(packet.as_ref(), to).unwrap();
    }

    /// Sends a packet, and waits until the broker has counted it.
    #[track_caller]
    pub(crate) fn send_alone(&self, intake: &str, packet: &[u8]) {
        self.send_all(intake, [packet]);
    }

    /// Sends packets, only a few at a time, so that the kernel drops none. Waits until the broker has
    /// counted all.
    #[track_caller]
    pub(crate) fn send_all(
        &self,
        intake: &str,
        packets: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) {
        let (before, to) = (self.bytes(intake), self.address(intake));
        let (mut count, mut queued) = (0, 0);
        for packet in packets {
            let packet = packet.as_ref();
            self.send(to, packet);
            (count, queued) = (count + packet.len(), queued + packet.len());
            if queued > QUEUE_BYTES {
                wait_until(DEADLINE, "the broker to read", || queue(to.port()) == 0);
                queued = 0;
            }
        }
        let count = count as f64;
        wait_until(DEADLINE, "the packets", || self.bytes(intake) >= before + count);
    }

    /// Number of measurements that an intake has accepted.
    #[track_caller]
    pub(crate) fn lines(&self, intake: &str) -> u64 {
        self.broker.metric(&format!("zibrato_broker_lines_total{{intake=\"{intake}\"}}")) as u64
    }

    fn bytes(&self, intake: &str) -> f64 {
        self.broker.metric(&format!("zibrato_broker_bytes_total{{intake=\"{intake}\"}}"))
    }

    /// Reads until the reading that this sends to the intake has arrived. Returns all series.
    #[track_caller]
    pub(crate) fn received(&mut self, intake: &str) -> Series {
        self.lasts += 1;
        let name = format!("end{}", self.lasts);
        let packet = match intake {
            "collectd" => parts::list(LAST, &name, self.lasts.into()),
            "metricsd" => parts::update(LAST, 0x10, &name, 1.0),
            _ => format!("{name}:1|c|#host:{LAST}").into_bytes(),
        };
        self.send(self.address(intake), packet);
        self.read_until(|batch| batch.entries().any(|entry| entry.unwrap().name.ends_with(&name)))
    }

    /// Reads batches until `is_last` is true for one. Returns all series.
    #[track_caller]
    pub(crate) fn read_until(
        &mut self,
        mut is_last: impl FnMut(&BatchReader<'_>) -> bool,
    ) -> Series {
        let mut is_over = false;
        while !is_over {
            let frames = self.subscriber.recv_multipart(0);
            let frames = frames.unwrap_or_else(|error| panic!("{error}: {:.9999?}", self.series()));
            let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
            let Ok(Message::Batch { level: "info", body, .. }) = message(&frames) else { continue };
            is_over = is_last(&BatchReader::new(body).unwrap());
            self.batches.push(body.to_vec());
        }
        self.series()
    }

    /// What a worker folds, all in one window.
    fn window(&self) -> Window {
        let mut window = Window::new(0, 1_000, 100_000);
        for body in &self.batches {
            window.fold_batch(&BatchReader::new(body).unwrap(), |error| panic!("{error}"));
        }
        window
    }

    fn series(&self) -> Series {
        let all = self.window().into_series().into_iter();
        let others = all.filter(|series| &*series.source != LAST);
        others
            .map(|series| {
                let mut name = series.name.to_string();
                series.tags.iter().for_each(|(tag, value)| name += &format!(";{tag}={value}"));
                if &*series.source != SOURCE {
                    name = format!("{name}@{}", series.source);
                }
                (name, shown(&series.value))
            })
            .collect()
    }

    /// What an intake has rejected, by reason.
    #[track_caller]
    pub(crate) fn rejected(&self, intake: &str) -> BTreeMap<String, u64> {
        let beginning = format!("zibrato_broker_rejected_total{{intake=\"{intake}\",reason=\"");
        let page = self.broker.page("/metrics");
        let lines = page.lines().filter_map(|line| line.strip_prefix(&beginning));
        let reasons = lines.map(|line| line.split_once("\"} ").unwrap());
        reasons.map(|(reason, count)| (reason.to_owned(), count.parse().unwrap())).collect()
    }

    /// Waits until an intake has rejected so many inputs for these reasons, and none for others.
    #[track_caller]
    pub(crate) fn check_rejected(&self, intake: &str, reasons: &[(&str, u64)]) {
        let expected: BTreeMap<_, _> =
            reasons.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
        let sum = |all: &BTreeMap<_, u64>| all.values().sum::<u64>();
        let mut rejected = BTreeMap::new();
        wait_until(DEADLINE, "all to be counted", || {
            rejected = self.rejected(intake);
            sum(&rejected) >= sum(&expected)
        });
        assert_eq!(rejected, expected, "{}", self.listening);
    }
}

/// Size of what is in the queue of the socket at this port of UDP.
fn queue(port: u16) -> u64 {
    let sockets = fs::read_to_string("/proc/net/udp").unwrap();
    let port = format!(":{port:04X}");
    let mut queues = sockets.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        fields.next().filter(|local| local.ends_with(&port))?;
        let (_, queue) = fields.nth(2)?.split_once(':')?;
        u64::from_str_radix(queue, 16).ok()
    });
    queues.next().unwrap()
}

/// `c 3` for a counter, `g -1` for the last reading of a gauge, `s a,b` for members, and for timers
/// and histograms number, sum, minimum and maximum: `t 2 0.5 0.1 0.4`.
fn shown(value: &Fold) -> String {
    match value {
        Fold::Counter(sum) => format!("c {sum}"),
        Fold::Gauge(gauge) => format!("g {}", gauge.unwrap().last),
        Fold::Set(members) => {
            let members: Vec<_> = members.iter().map(|member| &**member).collect();
            format!("s {}", members.join(","))
        }
        other => {
            let letter = if matches!(other, Fold::Timer(_)) { 't' } else { 'h' };
            let all = other.summary().unwrap();
            format!("{letter} {} {} {} {}", all.count(), all.sum(), all.min(), all.max())
        }
    }
}

/// Series with these names and readings.
pub(crate) fn named<'a>(all: impl IntoIterator<Item = (&'a str, &'a str)>) -> Series {
    all.into_iter().map(|(name, reading)| (name.to_owned(), reading.to_owned())).collect()
}

#[test]
fn an_address_that_other_machines_reach_is_named_in_the_log() {
    let all = "0.0.0.0:0";
    let intakes = ["--statsd", all, "--statsd-admin", all, "--collectd", all, "--metricsd", all];
    let mut broker = Broker::start_with(&[&["--insecure", "--no-journal"], &intakes[..]].concat());
    for (intake, flag) in [
        ("statsd", "statsd"),
        ("statsd", "statsd-admin"),
        ("collectd", "collectd"),
        ("metricsd", "metricsd"),
    ] {
        let (intake, flag) = (format!("intake=\"{intake}\""), format!("flag=\"--{flag}\""));
        broker.running().says(&["event=\"open_to_everyone\"", &intake, &flag, all]);
    }
    broker.running().says(&["open_to_everyone", "collectd", "--collectd-security-level sign"]);
    assert_eq!(broker.running().log().matches("open_to_everyone").count(), 4);
}
