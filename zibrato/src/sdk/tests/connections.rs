//! Connections that libzmq does not retry: the instrument reconnects them.

use super::{Acknowledges, Broker, finish};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

#[test]
fn a_refused_connection_for_batches_is_made_anew_though_the_broker_is_heard() {
    delivers_though_refused_once(true, false);
}

#[test]
fn a_refused_connection_for_answers_is_made_anew() {
    delivers_though_refused_once(false, true);
}

#[test]
fn both_connections_are_made_anew_when_both_were_refused() {
    delivers_though_refused_once(true, true);
}

fn delivers_though_refused_once(batches: bool, answers: bool) {
    let mut broker = Broker::new(Acknowledges::Everything);
    let (port, control_port) = broker.ports();
    let place = |port, refused| if refused { refuses_once(port) } else { port };
    let builder = broker.builder().port(place(port, batches));
    let z = builder.control_port(place(control_port, answers)).build().unwrap();
    broker.serve_until(|_| z.stats().connected);
    z.count("info", "n", 1);
    broker.serve_until(|_| z.stats().delivered == 1);
    let stats = finish(z, &mut broker);
    assert_eq!((stats.delivered, broker.sum("info", "n", "not_specified")), (1, 1.0));
}

/// A port that forwards to another port, except for the first connection. That one meets a ZeroMQ
/// socket which requires a user and a password, so libzmq closes it and does not retry.
fn refuses_once(to: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let accept = move || {
        let (mut refused, _) = listener.accept().unwrap();
        refused.write_all(&greeting("PLAIN")).unwrap();
        // Until the peer closes the connection.
        refused.read_to_end(&mut Vec::new()).ok();
        // Also those of the instrument that looks what listens here.
        for near in listener.incoming() {
            let near = near.unwrap();
            // At the end of the test, the other port is closed.
            let Ok(far) = TcpStream::connect(("127.0.0.1", to)) else { return };
            let ways = [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)];
            for (mut from, mut to) in ways {
                let pass = move || std::io::copy(&mut from, &mut to);
                std::thread::Builder::new().spawn(pass).unwrap();
            }
        }
    };
    std::thread::Builder::new().spawn(accept).unwrap();
    port
}

/// The greeting of a ZMTP 3.0 server: signature, version, mechanism, role, and filler.
fn greeting(mechanism: &str) -> [u8; 64] {
    let mut greeting = [0; 64];
    (greeting[0], greeting[9], greeting[10], greeting[32]) = (0xff, 0x7f, 3, 1);
    greeting[12..12 + mechanism.len()].copy_from_slice(mechanism.as_bytes());
    greeting
}
