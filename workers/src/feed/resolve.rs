//! Resolves a host and identifies what listens there, to explain why no messages arrive from a
//! broker.
//!
//! Resolving a name has no deadline, so a running worker does it in a separate thread,
//! `zb-resolve`, and does not wait for it.

use super::broker::Broker;
use crate::thread::OwnedThread;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use zibrato::listener::{Listener, identify};

/// What a broker does on each of its ports.
const PLACES: [&str; 4] = [
    "receives measurements",
    "publishes",
    "serves the journal",
    "serves publishers of Python Zibrato 0.2",
];

/// No further address is tried after this time.
const LONGEST_LOOK: Duration = Duration::from_secs(4);

/// Logs why no messages arrive from a broker. `broker` is the endpoint on which it should publish.
pub(super) fn explain(broker: Broker) -> Option<OwnedThread> {
    let body = move || match look(&broker) {
        Err(why) => tracing::warn!(event = "unknown_host", host = broker.host, %why),
        Ok(found) => log(&broker, &found),
    };
    OwnedThread::spawn("zb-resolve", body, || ()).ok()
}

/// The result of looking for a broker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Another port of a broker was found; also says on which port it publishes.
    WrongPort { what: String, right: u16 },
    /// The port is not known to be wrong.
    Unheard { why: &'static str, encrypts: Option<bool> },
}

fn log(broker: &Broker, found: &Found) {
    let Broker { host, port, curve, .. } = broker;
    match found {
        Found::WrongPort { what, right } => {
            let why = format!("{what}: give --port {right} instead of --port {port}");
            tracing::warn!(event = "wrong_port", host, port, right, why);
        }
        Found::Unheard { why, encrypts } => {
            let key = curve.as_ref().map(|curve| curve.public_key().to_string());
            let keys = about_keys(*encrypts, key.is_some());
            let key = key.as_deref();
            tracing::warn!(event = "no_broker", host, port, why, keys, key);
        }
    }
}

/// The remedy for keys, depending on whether the broker encrypts and this worker has keys.
pub(super) const fn about_keys(encrypts: Option<bool>, has_keys: bool) -> Option<&'static str> {
    match (encrypts, has_keys) {
        (Some(true), false) => Some(
            "if the broker encrypts its connections, give its public key with --server-key and \
             this worker's secret key with --curve-key",
        ),
        (Some(true), true) => Some(
            "check that --server-key is the broker's public key, and that the broker's \
             --allowed-keys contain this worker's public key",
        ),
        (Some(false), true) => Some(
            "the broker does not encrypt its connections: leave out --server-key and --curve-key",
        ),
        (Some(false), false) | (None, _) => None,
    }
}

fn look(broker: &Broker) -> io::Result<Found> {
    if let Some(file) = broker.endpoint.ipc_endpoint(&broker.host) {
        return Ok(look_in(&file, broker.curve.is_some()));
    }
    let addresses: Vec<_> = (broker.bare_host(), broker.port).to_socket_addrs()?.collect();
    Ok(look_at(broker.port, &addresses))
}

/// Identifies what listens at these addresses of a host, on the port on which a broker should
/// publish.
pub(super) fn look_at(port: u16, addresses: &[SocketAddr]) -> Found {
    let begun = Instant::now();
    judge(port, |port| {
        let at = addresses.iter().map(|address| SocketAddr::new(address.ip(), port));
        at.take_while(|_| begun.elapsed() < LONGEST_LOOK)
            .map(identify)
            .find(|found| *found != Listener::Nothing)
            .unwrap_or(Listener::Nothing)
    })
}

/// Identifies what listens in the folder of a broker, at this endpoint.
fn look_in(endpoint: &str, has_keys: bool) -> Found {
    let answers = UnixStream::connect(endpoint.trim_start_matches("ipc://")).is_ok();
    Found::Unheard {
        why: if answers { SLOW } else { NOTHING },
        encrypts: answers.then_some(has_keys),
    }
}

pub(super) const NOTHING: &str = "nothing listens there; start the broker";

const SLOW: &str = "the broker accepts connections but publishes nothing; it is starting, or \
                    overloaded";

pub(super) const NO_BROKER: &str =
    "the program that listens there is not a broker; --port must be the broker's own --port + 1";

/// The finding for a port on which a broker should publish. `at` returns what listens on a port.
fn judge(typed: u16, at: impl Fn(u16) -> Listener) -> Found {
    let unheard = |why, encrypts| Found::Unheard { why, encrypts };
    match at(typed) {
        Listener::Broker { place: 1 } => unheard(SLOW, Some(false)),
        Listener::Broker { place } => {
            let what = PLACES.get(usize::from(place)).copied().unwrap_or("does something else");
            wrong(typed, format!("the broker {what} on port {typed}"), typed, place)
        }
        Listener::Encrypted => {
            unheard("the program that listens there encrypts its connections", Some(true))
        }
        Listener::Silent => unheard(
            "the port accepts connections but sends nothing: the broker hangs, or another program \
             listens there; --port must be the broker's own --port + 1",
            None,
        ),
        Listener::Foreign | Listener::OtherSocket => unheard(NO_BROKER, None),
        // If the port is right, the ports next to it belong to the same broker.
        Listener::Nothing => {
            let beside = [typed.checked_add(1), typed.checked_sub(1)].into_iter().flatten();
            let found = beside.filter(|port| *port > 0).find_map(|port| match at(port) {
                Listener::Broker { place } => Some((port, place)),
                _ => None,
            });
            match found {
                Some((port, place)) if publishes(port, place) != Some(typed) => {
                    wrong(typed, format!("nothing listens on port {typed}"), port, place)
                }
                Some(_) | None => unheard(NOTHING, None),
            }
        }
    }
}

/// The port on which a broker publishes, computed from another one of its ports.
fn publishes(port: u16, place: u16) -> Option<u16> {
    port.checked_sub(place)?.checked_add(1)
}

fn wrong(typed: u16, what: String, port: u16, place: u16) -> Found {
    match publishes(port, place).filter(|right| *right != typed) {
        Some(right) => Found::WrongPort { what, right },
        None => Found::Unheard { why: NOTHING, encrypts: None },
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, Listener, NOTHING, SLOW, judge};

    /// A broker with these ports open.
    fn at(base: u16, open: [bool; 4]) -> impl Fn(u16) -> Listener {
        move |port| match port.checked_sub(base) {
            Some(place @ 0..4) if open[usize::from(place)] => Listener::Broker { place },
            _ => Listener::Nothing,
        }
    }

    #[test]
    fn a_port_is_called_wrong_only_if_proven_and_the_right_one_is_named() {
        let all = at(5550, [true; 4]);
        for typed in [5549, 5550, 5552, 5553, 5554] {
            let found = judge(typed, &all);
            let Found::WrongPort { what, right } = found else { panic!("{typed}: {found:?}") };
            assert!(right == 5551 && what.contains(&typed.to_string()), "{what}");
        }
        assert_eq!(judge(5551, &all), Found::Unheard { why: SLOW, encrypts: Some(false) });
        let nothing = Found::Unheard { why: NOTHING, encrypts: None };
        assert_eq!(judge(5551, at(5550, [false; 4])), nothing);
        assert_eq!(judge(65535, at(5550, [false; 4])), nothing);
        // A broker that is still starting.
        assert_eq!(judge(5551, at(5550, [true, false, false, false])), nothing);
        for (listener, part) in [
            (Listener::Silent, "hangs"),
            (Listener::Foreign, "not a broker"),
            (Listener::OtherSocket, "not a broker"),
            (Listener::Encrypted, "encrypts"),
        ] {
            let Found::Unheard { why, .. } = judge(5551, |_| listener) else {
                panic!("called wrong")
            };
            assert!(why.contains(part), "{why}");
        }
    }
}
