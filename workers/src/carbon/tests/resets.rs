//! Peers that reset the connection because of a line: the line is found, and nothing else is lost.

use super::{LONG, listener, window};
use crate::backend::{Backend, Payload, SendError};
use crate::carbon::connection::LISTEN;
use crate::carbon::{Address, Carbon};
use rustix::net::sockopt::set_socket_linger;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use zibrato::window::Window;
use zibrato::wire::Line;

/// How a peer serves its connections.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Serves {
    OneByOne,
    AllAtOnce,
}

/// A peer that resets a connection when it reads a line with `bad` in it.
struct Picky {
    address: Address,
    taken: Arc<Mutex<BTreeSet<String>>>,
    resets: Arc<AtomicUsize>,
    /// If set, it resets every connection.
    away: Arc<AtomicBool>,
}

impl Picky {
    /// Resets the connection this long after it has read such a line for the first time, and after
    /// it has read it again. It reads nothing more in between.
    fn start(serves: Serves, [first, later]: [Duration; 2]) -> Self {
        let (listener, address) = listener();
        let (taken, resets, away) = <(Arc<_>, Arc<_>, Arc<_>)>::default();
        let picky = Self { address, taken, resets, away };
        let (taken, resets) = (Arc::clone(&picky.taken), Arc::clone(&picky.resets));
        let away = Arc::clone(&picky.away);
        let serve = move |stream: TcpStream| {
            let mut lines = BufReader::new(&stream);
            let mut line = String::new();
            let is_away = || away.load(Ordering::SeqCst);
            if is_away() {
                // The connection is established before it is reset.
                std::thread::park_timeout(LISTEN / 5);
            }
            while !is_away() && lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                if line.contains("bad") || is_away() {
                    let is_first = resets.load(Ordering::SeqCst) == 0;
                    std::thread::park_timeout(if is_first { first } else { later });
                    break;
                }
                taken.lock().unwrap().insert(std::mem::take(&mut line));
            }
            if line.contains("bad") || is_away() {
                set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
                drop(stream);
                resets.fetch_add(1, Ordering::SeqCst);
            }
        };
        // The threads end with the process of the test.
        let accept = move || {
            while let Ok((stream, _)) = listener.accept() {
                let serve = serve.clone();
                match serves {
                    Serves::OneByOne => serve(stream),
                    Serves::AllAtOnce => {
                        std::thread::Builder::new().spawn(move || serve(stream)).unwrap();
                    }
                }
            }
        };
        std::thread::Builder::new().spawn(accept).unwrap();
        picky
    }

    fn goes_away(&self) {
        self.away.store(true, Ordering::SeqCst);
    }

    fn taken(&self) -> BTreeSet<String> {
        self.taken.lock().unwrap().clone()
    }

    fn has_taken(&self, lines: usize) -> bool {
        until(|| self.taken().len() >= lines)
    }

    fn resets(&self) -> usize {
        self.resets.load(Ordering::SeqCst)
    }
}

fn until(mut done: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        if done() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

/// A window of counters, as payloads.
fn payloads(carbon: &mut Carbon, names: &[String], start_s: u64) -> Vec<Payload> {
    let mut window = Window::new(start_s * 1000, 60_000, 1000);
    for name in names {
        window.fold_line(&Line::decode(format!("i|c|{name}|1|1|s").as_bytes()).unwrap());
    }
    carbon.payloads(window)
}

fn names(good: usize) -> Vec<String> {
    (0..good).map(|n| format!("n{n:02}")).chain(["bad".to_owned()]).collect()
}

/// The result of a window: the payloads that were rejected alone, and the number of attempts.
struct Sent {
    refused: Vec<Payload>,
    tries: usize,
}

/// Sends payloads as the worker does: with retries, in parts, and including payloads that turn out
/// to be rejected.
fn send(carbon: &mut Carbon, payloads: Vec<Payload>) -> Sent {
    let (mut open, mut sent) = (payloads, Sent { refused: Vec::new(), tries: 0 });
    let begun = Instant::now();
    while let Some(payload) = open.pop() {
        assert!(begun.elapsed() < LONG, "never taken");
        sent.tries += 1;
        let refused = match carbon.send(&payload) {
            Ok(()) => carbon.take_back().map(|refusal| refusal.payload),
            Err(SendError::Unknown { .. } | SendError::Retry { .. }) => {
                open.push(payload);
                continue;
            }
            Err(SendError::Reject { .. }) => Some(payload),
            Err(error) => panic!("{error}"),
        };
        match refused.as_ref().map(|payload| carbon.split(payload)) {
            Some(Some(halves)) => open.extend(halves),
            Some(None) => sent.refused.extend(refused),
            None => {}
        }
    }
    sent
}

fn bad(start_s: u64) -> Payload {
    Payload::new(format!("s.bad 1 {start_s}\n").into_bytes(), 1)
}

const AT_ONCE: [Duration; 2] = [Duration::ZERO; 2];

#[test]
fn a_line_that_causes_a_reset_is_found_and_the_rest_arrives() {
    for serves in [Serves::OneByOne, Serves::AllAtOnce] {
        let picky = Picky::start(serves, AT_ONCE);
        let mut carbon = Carbon::to(picky.address.clone());
        let whole = payloads(&mut carbon, &names(11), 60);
        let sent = send(&mut carbon, whole);
        assert_eq!(sent.refused, [bad(60)]);
        assert!(sent.tries <= 2 + 2 * 4 + 1, "{}", sent.tries);
        assert!(picky.has_taken(11));
    }
}

#[test]
fn a_bad_line_in_each_window_breaks_the_connection_only_once() {
    let picky = Picky::start(Serves::AllAtOnce, AT_ONCE);
    let mut carbon = Carbon::to(picky.address.clone());
    for window in 1..6 {
        let whole = payloads(&mut carbon, &names(20), window * 60);
        let sent = send(&mut carbon, whole);
        assert_eq!(sent.refused, [bad(window * 60)]);
        assert!(window == 1 || sent.tries <= 1 + 2 * 5, "{}", sent.tries);
        let trouble = carbon.trouble().unwrap();
        assert!(trouble.contains("3 times"), "window {window}: {trouble}");
    }
    assert!(picky.has_taken(5 * 20));
}

#[test]
fn a_line_that_causes_a_late_reset_is_found_and_nothing_else_is_lost() {
    let late = LISTEN * 5 / 2;
    for delays in [[late, Duration::ZERO], [late, late]] {
        let picky = Picky::start(Serves::AllAtOnce, delays);
        let mut carbon = Carbon::to(picky.address.clone());
        let first = payloads(&mut carbon, &names(5), 60);
        assert_eq!(send(&mut carbon, first).refused, [], "it was accepted");
        let taken_at = carbon.unsettled_since();
        assert!(taken_at.is_some() && carbon.trouble().is_none());
        let (mut refused, mut windows) = (Vec::new(), 1);
        while refused.is_empty() {
            let resets = picky.resets();
            // The connection is reset after each window; nothing delivered since is safe.
            assert!(windows < 20 && carbon.unsettled_since() == taken_at);
            windows += 1;
            let whole = payloads(&mut carbon, &["later".to_owned()], windows * 60);
            refused = send(&mut carbon, whole).refused;
            assert!(!refused.is_empty() || until(|| picky.resets() > resets));
        }
        assert_eq!(refused, [bad(60)]);
        assert!(carbon.unsettled_since() > taken_at && carbon.trouble().is_some());
        assert!(picky.has_taken(4 + windows as usize), "{:?}", picky.taken());
    }
}

/// A connection may be reset as soon as it is established, or later than the backend waits.
fn is_not_blamed(carbon: &mut Carbon, payload: &Payload) {
    let result = carbon.send(payload);
    let kept = matches!(&result, Ok(()) | Err(SendError::Unknown { .. } | SendError::Retry { .. }));
    assert!(kept, "{result:?}");
    assert!(carbon.take_back().is_none());
    assert!(result.is_err() || carbon.unsettled_since().is_some());
}

#[test]
fn no_payload_is_rejected_if_the_peer_resets_every_connection() {
    let picky = Picky::start(Serves::AllAtOnce, AT_ONCE);
    picky.goes_away();
    let mut carbon = Carbon::to(picky.address.clone());
    let payload = carbon.payloads(window(1, 60).0).remove(0);
    for _ in 0..8 {
        is_not_blamed(&mut carbon, &payload);
    }
}

#[test]
fn the_next_payload_is_not_rejected_if_the_peer_stops_after_a_bad_line() {
    let picky = Picky::start(Serves::AllAtOnce, AT_ONCE);
    let mut carbon = Carbon::to(picky.address.clone());
    let whole = payloads(&mut carbon, &names(3), 60).remove(0);
    let refused = until(|| matches!(carbon.send(&whole), Err(SendError::Reject { .. })));
    assert!(refused);
    picky.goes_away();
    for payload in carbon.split(&whole).unwrap() {
        for _ in 0..4 {
            is_not_blamed(&mut carbon, &payload);
        }
    }
}
