//! The thread of the intake. It reads packets, and publishes each series at its interval.

use super::decode::{Change, decode};
use super::series::{AllMetrics, Statistic};
use super::why::why;
use crate::intake::IntakeContext;
use crate::intake::udp::Udp;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd};
use zibrato::Gauge;
use zibrato::window::Fold;

/// The largest packet.
const PACKET_BYTES: usize = 65_536;

/// Maximum number of packets that are read from a socket before anything else is done.
const PACKETS: usize = 200;

/// Reads packets until the broker stops. Then it publishes all metrics once more.
pub(super) fn run(
    context: &mut IntakeContext,
    mut sockets: Vec<Udp>,
    mut metrics: AllMetrics,
    level: &str,
) {
    let mut packet = vec![0; PACKET_BYTES];
    while context.wait_until(
        &sockets.iter().map(Udp::as_fd).collect::<Vec<BorrowedFd<'_>>>(),
        metrics.next_ms(),
    ) {
        for socket in &mut sockets {
            for _ in 0..PACKETS {
                let Some((length, sender)) = socket.receive(context, &mut packet) else { break };
                take(context, &mut metrics, &packet[..length], sender);
            }
            socket.count_drops(context);
        }
        let (now_ms, uptime_ms) = (context.now_ms(), context.uptime_ms());
        let mut put = |statistic: Statistic<'_>| fold(context, level, &statistic, now_ms);
        metrics.publish_due(now_ms, uptime_ms, &mut put);
    }
    let (now_ms, uptime_ms) = (context.now_ms(), context.uptime_ms());
    metrics.publish_all(uptime_ms, &mut |statistic| fold(context, level, &statistic, now_ms));
}

/// Adds a statistic to what is published.
pub(super) fn fold(
    context: &mut IntakeContext,
    level: &str,
    statistic: &Statistic<'_>,
    now_ms: u64,
) {
    let Statistic { source, name, value } = *statistic;
    let gauge = Fold::Gauge(Some(Gauge::reading(value, now_ms)));
    context.fold_series(level, source, name, &[], &gauge);
}

/// Takes the changes of a packet.
pub(super) fn take(
    context: &mut IntakeContext,
    metrics: &mut AllMetrics,
    packet: &[u8],
    sender: SocketAddr,
) {
    context.received(packet.len());
    let uptime_ms = context.uptime_ms();
    let (host, changes) = match decode(packet) {
        Ok(decoded) => decoded,
        Err(error) => {
            let reason = error.reason();
            return reject(context, reason, why(reason), sender, packet);
        }
    };
    for change in changes {
        match change {
            Ok(change) => match metrics.apply(host, &change, uptime_ms) {
                Ok(()) => context.taken(1),
                Err(reason) => {
                    let Change { name, kind, .. } = change;
                    let other = metrics.kind(host, name).filter(|other| *other != kind);
                    let other = other.map(|other| {
                        let (other, kind) = (other.word(), kind.word());
                        format!(
                            "the metric is a {other}, and this is an update of a {kind}; delete \
                             it first, or use another name"
                        )
                    });
                    let sample = format!("{host} {name}");
                    let why = other.as_deref().or_else(|| why(reason));
                    reject(context, reason, why, sender, sample.as_bytes());
                }
            },
            Err(error) => {
                let reason = error.reason();
                reject(context, reason, why(reason), sender, packet);
            }
        }
    }
}

fn reject(
    context: &mut IntakeContext,
    reason: &'static str,
    why: Option<&str>,
    sender: SocketAddr,
    sample: &[u8],
) {
    let sample = [format!("from {sender}: ").as_bytes(), sample].concat();
    context.reject_because(reason, why, 1, &sample);
}
