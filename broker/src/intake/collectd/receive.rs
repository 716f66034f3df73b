//! Receives datagrams, and adds their values to the broker's window.

use super::converter::Sample;
use super::datagram::{Decoder, Outcome};
use super::files::Files;
use super::parts::UNITS_PER_SECOND;
use crate::intake::IntakeContext;
use crate::intake::rules::Collectd as Fields;
use crate::intake::udp::Udp;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd};
use zibrato::wire::{Line, LineValue};
use zibrato::{DEFAULT_SOURCE, Kind};

/// Size of the largest datagram, in bytes.
const MAX_DATAGRAM_BYTES: usize = 65_535;

/// Maximum number of datagrams that are read from a socket before the others are looked at.
const MAX_DATAGRAMS: usize = 256;

/// Receives until the broker stops.
pub(super) fn run(
    context: &mut IntakeContext,
    mut sockets: Vec<Udp>,
    mut files: Files,
    mut decoder: Decoder,
    level: Option<String>,
) {
    files.log_warnings();
    let level = level.unwrap_or_else(|| context.level().to_owned());
    let mut datagram = vec![0; MAX_DATAGRAM_BYTES];
    while context.wait(&sockets.iter().map(Udp::as_fd).collect::<Vec<BorrowedFd<'_>>>()) {
        files.reread(&mut decoder, context.now_ms());
        for socket in &mut sockets {
            for _ in 0..MAX_DATAGRAMS {
                let Some((bytes, sender)) = socket.receive(context, &mut datagram) else { break };
                let datagram = datagram.get(..bytes).unwrap_or_default();
                context.received(bytes);
                take(context, &mut decoder, &level, datagram, sender);
            }
            socket.count_drops(context);
        }
    }
}

/// Takes the values of a datagram.
pub(super) fn take(
    context: &mut IntakeContext,
    decoder: &mut Decoder,
    level: &str,
    datagram: &[u8],
    sender: SocketAddr,
) {
    let (now_ms, uptime_ms) = (context.now_ms(), context.uptime_ms());
    decoder.decode(datagram, now_ms, uptime_ms, &mut |outcome| match outcome {
        Outcome::Sample(sample) => {
            context.fold_from(&line(level, &sample), Some(sender), Some(fields(&sample)));
        }
        Outcome::Rejected(rejected) => {
            let sample = format!("from {sender}: {}", rejected.about);
            context.reject(rejected.reason, sample.as_bytes());
        }
    });
}

/// The line of a value. Its time is in whole seconds.
pub(crate) fn line<'a>(level: &'a str, sample: &Sample<'a>) -> Line<'a> {
    let Sample { list, name, value, .. } = *sample;
    Line {
        level,
        kind: Kind::Gauge,
        name,
        value: LineValue::Number(value),
        timestamp: (list.time / UNITS_PER_SECOND) as f64,
        source: if list.host.is_empty() { DEFAULT_SOURCE } else { list.host },
    }
}

/// The identity of a value, for rules.
pub(crate) fn fields<'a>(sample: &Sample<'a>) -> Fields<'a> {
    let Sample { list, source, .. } = *sample;
    Fields {
        plugin: list.plugin,
        plugin_instance: list.plugin_instance,
        type_name: list.type_name,
        type_instance: list.type_instance,
        value_name: &source.name,
        value_type: source.kind.code(),
        interval: list.interval as f64 / UNITS_PER_SECOND as f64,
    }
}
