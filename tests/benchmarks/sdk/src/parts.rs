//! The receiver process of a measurement: it receives, and prints the total for each line on its
//! standard input.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use zibrato::Summary;
use zibrato::wire::{BatchReader, Message, Value, batch_topic, message};
use zmq::{DONTWAIT, PollItem};

/// Runs the part with this name until standard input ends.
pub fn take(part: &str, argument: &str) -> Result<(), Box<dyn Error>> {
    let context = zmq::Context::new();
    match part {
        "worker" => {
            let batches = context.socket(zmq::SUB)?;
            batches.set_rcvhwm(0)?;
            batches.connect(&format!("tcp://127.0.0.1:{argument}"))?;
            batches.set_subscribe(batch_topic("info").as_bytes())?;
            serve("subscribed", batches.as_poll_item(zmq::POLLIN), || readings(&batches))
        }
        "pull" => {
            let (lines, endpoint) = bound(&context, zmq::PULL)?;
            serve(&endpoint, lines.as_poll_item(zmq::POLLIN), || {
                std::iter::from_fn(|| lines.recv_msg(DONTWAIT).ok()).take(1000).count() as u64
            })
        }
        "pump" => {
            let (from, endpoint) = bound(&context, zmq::PULL)?;
            let to = context.socket(zmq::PUSH)?;
            to.connect(argument)?;
            say(&endpoint)?;
            Ok(zmq::proxy(&from, &to)?)
        }
        "udp" => {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?.to_string();
            let mut packet = vec![0; 65_536];
            let lines = || {
                let Ok(bytes) = socket.recv(&mut packet) else { return 0 };
                let packet = packet[..bytes].trim_ascii_end();
                1 + packet.iter().filter(|byte| **byte == b'\n').count() as u64
            };
            serve(&address, PollItem::from_fd(socket.as_raw_fd(), zmq::POLLIN), lines)
        }
        other => Err(format!("unknown part {other}").into()),
    }
}

fn bound(context: &zmq::Context, kind: zmq::SocketType) -> zmq::Result<(zmq::Socket, String)> {
    let socket = context.socket(kind)?;
    socket.bind("tcp://127.0.0.1:*")?;
    let endpoint = socket.get_last_endpoint()?.unwrap_or_default();
    Ok((socket, endpoint))
}

fn say(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// Receives data; `take` returns how much it received, and 0 if nothing is available.
fn serve(
    first: &str,
    item: PollItem<'_>,
    mut take: impl FnMut() -> u64,
) -> Result<(), Box<dyn Error>> {
    say(first)?;
    let mut items = [item, PollItem::from_fd(io::stdin().as_raw_fd(), zmq::POLLIN)];
    let mut arrived = 0;
    loop {
        zmq::poll(&mut items, -1)?;
        loop {
            match take() {
                0 => break,
                more => arrived += more,
            }
        }
        if items[1].is_readable() {
            if io::stdin().read(&mut [0])? == 0 {
                return Ok(());
            }
            say(&arrived.to_string())?;
        }
    }
}

/// The number of readings in the next batch, decoded like a worker does, including sketches.
fn readings(batches: &zmq::Socket) -> u64 {
    let Ok(frames) = batches.recv_multipart(DONTWAIT) else { return 0 };
    let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
    let Ok(Message::Batch { body, .. }) = message(&frames) else { return 0 };
    let Ok(batch) = BatchReader::new(body) else { return 0 };
    let count = |value| match value {
        Value::Counter(sum) => sum as u64,
        Value::Gauge(gauge) => gauge.count,
        Value::Timer(timer) => {
            let mut summary = Summary::new();
            timer.merge_into(&mut summary);
            summary.count()
        }
        Value::TimerReadings(readings) => readings.count() as u64,
        _ => 0,
    };
    batch.entries().flatten().map(|entry| count(entry.value)).sum()
}
