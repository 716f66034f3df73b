//! The connection over TLS: what arrives, and how the ends of connections are told apart.

use super::{Company, MILLIS, NAMES, carbon, causes, deliver, window};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::{Builder, park_timeout};
use std::time::Instant;
use zibrato::window::Window;
use zibrato::wire::Line;
use zibrato_tests::fake::{Ending, TlsPeer};
use zibrato_tests::{DEADLINE, accept, wait_until};
use zibrato_workers::carbon::{Carbon, TlsFlags};
use zibrato_workers::{Backend, Payload, SendError};

fn peer(company: &Company) -> TlsPeer {
    TlsPeer::start(company.server().server(None).unwrap()).unwrap()
}

fn has_received(peer: &TlsPeer, text: &str) {
    wait_until(DEADLINE, "the lines", || peer.received() == text);
}

#[test]
fn lines_and_pickles_arrive_at_a_host_name_and_at_an_address() {
    let company = Company::new();
    let mut by_file = TlsFlags::default();
    by_file.ca_file = Some(company.path("authorities/ca.pem"));
    for (host, name) in NAMES.into_iter().zip([Some("localhost".to_owned()), None]) {
        let peer = peer(&company);
        let address = format!("tls://{host}:{}", peer.port());
        let mut carbon = carbon(&address, &company.flags());
        let ((a, line_a), (b, line_b)) = (window(1, 60), window(2, 120));
        deliver(&mut carbon, a);
        deliver(&mut carbon, b);
        has_received(&peer, &(line_a + &line_b));
        assert_eq!((peer.names(), peer.connections().0), (vec![name], 1));
        assert_eq!(carbon.destination(), Some(address));
    }
    let peer = peer(&company);
    let mut carbon = carbon(&format!("pickle+tls://localhost:{}", peer.port()), &by_file);
    deliver(&mut carbon, window(1, 1_700_000_000).0);
    let pickle = [
        b"\0\0\0\x1e\x80\x02](X\x03\0\0\0s.nJ\0\xf1SeG".as_slice(),
        &1_f64.to_be_bytes(),
        b"\x86\x86e.",
    ];
    wait_until(DEADLINE, "the pickle", || peer.bytes() == pickle.concat());
}

#[test]
fn a_client_certificate_is_presented() {
    let company = Company::new();
    company.write_client("worker", &company.authority);
    let server = company.server().server(Some(&company.authority)).unwrap();
    let peer = TlsPeer::start(server).unwrap();
    let flags = company.flags_of_client("worker");
    let mut carbon = carbon(&format!("tls://localhost:{}", peer.port()), &flags);
    let (window, line) = window(1, 60);
    deliver(&mut carbon, window);
    has_received(&peer, &line);
}

#[test]
fn a_window_is_written_again_after_each_end_and_only_resets_are_trouble() {
    let company = Company::new();
    for ending in [Ending::Announced, Ending::Silent, Ending::Reset] {
        let peer = peer(&company);
        let mut carbon = carbon(&format!("tls://localhost:{}", peer.port()), &company.flags());
        let (mut written, mut expected) = (String::new(), String::new());
        for n in 1..=3 {
            let (window, line) = window(n, u64::from(n) * 60);
            deliver(&mut carbon, window);
            written += &line;
            // Everything so far is written on each new connection.
            expected += &written;
            has_received(&peer, &expected);
            peer.end(ending);
            wait_until(DEADLINE, "the end", || peer.connections().1 == n as usize);
            // The state of a connection is noticed when it is looked at.
            assert!(carbon.unsettled_since().is_some());
        }
        let trouble = carbon.trouble();
        assert_eq!(trouble.is_some(), ending == Ending::Reset, "{ending:?}: {trouble:?}");
        assert!(carbon.take_back().is_none());
    }
}

#[test]
fn a_line_over_which_the_connection_is_reset_is_found() {
    let company = Company::new();
    let server = company.server().server(None).unwrap();
    let peer = TlsPeer::disliking(server, b"bad").unwrap();
    let mut carbon = carbon(&format!("tls://localhost:{}", peer.port()), &company.flags());
    let mut window = Window::new(60_000, 60_000, 1000);
    for name in ["a", "b", "bad", "c", "d"] {
        window.fold_line(&Line::decode(format!("i|c|{name}|1|1|s").as_bytes()).unwrap());
    }
    let (mut open, mut refused) = (carbon.payloads(window), Vec::new());
    let begun = Instant::now();
    while let Some(payload) = open.pop() {
        assert!(begun.elapsed() < DEADLINE, "never taken");
        let rejected = match carbon.send(&payload) {
            Ok(()) => carbon.take_back().map(|refusal| refusal.payload),
            Err(SendError::Reject { .. }) => Some(payload),
            Err(SendError::Retry { .. } | SendError::Unknown { .. }) => {
                open.push(payload);
                continue;
            }
            Err(error) => panic!("{}", causes(&error)),
        };
        match rejected.as_ref().map(|payload| carbon.split(payload)) {
            Some(Some(halves)) => open.extend(halves),
            Some(None) => refused.extend(rejected),
            None => {}
        }
    }
    assert_eq!(refused, [Payload::new(b"s.bad 1 60\n".to_vec(), 1)]);
    wait_until(DEADLINE, "the others", || {
        ["a", "b", "c", "d"]
            .iter()
            .all(|name| peer.received().contains(&format!("s.{name} 1 60\n")))
    });
}

#[test]
fn data_from_the_peer_is_ignored_even_if_it_arrives_byte_by_byte() {
    let company = Company::new();
    let peer = peer(&company);
    let slow = dripping(peer.port());
    let mut carbon = carbon(&format!("tls://localhost:{slow}"), &company.flags());
    let mut expected = String::new();
    for n in 1..=5 {
        let (window, line) = window(n, u64::from(n) * 60);
        deliver(&mut carbon, window);
        expected += &line;
        has_received(&peer, &expected);
        peer.send(&[b'x'; 3000]);
        // Looks often, in the middle of records.
        for _ in 0..20 {
            assert!(carbon.unsettled_since().is_some());
            park_timeout(MILLIS(1));
        }
    }
    assert_eq!(peer.connections(), (1, 0));
}

/// A proxy in front of a port. It passes on what the server sends one byte at a time.
fn dripping(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let pass_on = move || {
        let mut client = accept(&listener);
        client.set_nodelay(true).unwrap();
        let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let there = move || {
            // Either side may disconnect.
            std::io::copy(&mut from, &mut to).ok();
            to.shutdown(Shutdown::Write).ok();
        };
        Builder::new().spawn(there).unwrap();
        let mut byte = [0];
        while server.read_exact(&mut byte).is_ok() && client.write_all(&byte).is_ok() {}
    };
    Builder::new().spawn(pass_on).unwrap();
    own
}

#[test]
fn a_peer_that_stalls_times_out_and_everything_arrives_later() {
    let company = Company::new();
    let peer = peer(&company);
    let port = stalling(peer.port());
    let carbon = carbon(&format!("tls://localhost:{port}"), &company.flags());
    let mut carbon: Carbon = carbon.timeout(MILLIS(2_000));
    // More than the kernel's buffers hold.
    let payload = Payload::new(vec![b'\n'; 32 << 20], 1);
    let begun = Instant::now();
    let Err(SendError::Unknown { why, .. }) = carbon.send(&payload) else { panic!("taken") };
    assert!(begun.elapsed() < DEADLINE && why.to_string().contains("broke"), "{why}");
    let (window, line) = window(7, 60);
    deliver(&mut carbon, window);
    wait_until(DEADLINE, "the line", || peer.received().ends_with(&line));
}

/// A port that passes the beginning of its first connection on, enough for a handshake, and then
/// stalls. It passes everything of later ones.
fn stalling(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let pass_on = move || {
        let mut held = Vec::new();
        for most in [4 << 10, u64::MAX] {
            let client = accept(&listener);
            let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            // Either side may disconnect.
            Builder::new().spawn(move || std::io::copy(&mut from, &mut to).ok()).unwrap();
            std::io::copy(&mut (&client).take(most), &mut server).ok();
            held.push((client, server));
        }
    };
    Builder::new().spawn(pass_on).unwrap();
    own
}
