//! Errors of sockets, and more clients than there is room for.

use super::clients::{Clients, MAX_ACCEPTS};
use super::connections::Input;
use super::{Listener, Packets, Receiver};
use crate::intake::statsd::grammar::Dialect;
use crate::intake::statsd::shared::{Received, Shared};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zibrato::daemon::Stop;

fn receiver(sockets: Vec<UdpSocket>) -> Receiver {
    let packets = |socket: UdpSocket| {
        socket.set_nonblocking(true).unwrap();
        Packets::new(socket.into(), Dialect::Statsd, None)
    };
    let packets = sockets.into_iter().map(packets).collect();
    Receiver { packets, listeners: Vec::new(), shared: Arc::new(Shared::new(100)) }
}

#[track_caller]
fn until(shared: &Shared, mut is: impl FnMut(&Received) -> bool) {
    let by = Instant::now() + Duration::from_secs(20);
    while !is(&shared.lock()) {
        assert!(Instant::now() < by, "{:?}", shared.lock().counts);
        std::thread::yield_now();
    }
}

#[test]
fn an_error_in_receiving_is_counted_and_the_next_packets_are_received() {
    let socket = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let (fails, works, peer) = (socket(), socket(), socket());
    let at = works.local_addr().unwrap();
    fails.connect(peer.local_addr().unwrap()).unwrap();
    drop(peer);
    // Nobody receives this, which is an error of the next call.
    fails.send(b"x").unwrap();
    let receiver = receiver(vec![fails, works]);
    let (shared, stop) = (Arc::clone(&receiver.shared), Stop::new().unwrap());
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new();
        let running = thread.spawn_scoped(scope, || receiver.run(&stop)).unwrap();
        until(&shared, |received| received.counts.rejected.contains_key("receive"));
        socket().send_to(b"a:1|c", at).unwrap();
        until(&shared, |received| received.counts.samples == 1);
        stop.raise();
        assert!(running.join().unwrap().is_ok());
    });
}

fn listener(path: &Path) -> Listener {
    let listener = UnixListener::bind(path).unwrap();
    listener.set_nonblocking(true).unwrap();
    Listener::Unix(listener, Dialect::Statsd, "/s.sock".to_owned())
}

/// The listener, what it receives, and the clients of it.
fn listening(path: &Path, most: usize) -> (Listener, Shared, Clients) {
    (listener(path), Shared::new(100), Clients::with(most).unwrap())
}

#[test]
fn the_client_that_is_idle_for_the_longest_time_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sock");
    let (listener, shared, mut clients) = listening(&path, 2);
    let mut input = Input::new();
    let connect = || UnixStream::connect(&path).unwrap();
    let (mut busy, mut idle) = (connect(), connect());
    clients.accept(&listener, &shared).unwrap();
    idle.write_all(b"i:1|c\ni:1|c").unwrap();
    clients.receive(&mut input, &shared).unwrap();
    busy.write_all(b"b:1|c\nb:1").unwrap();
    clients.receive(&mut input, &shared).unwrap();
    let _new = connect();
    clients.accept(&listener, &shared).unwrap();
    assert_eq!((clients.len(), idle.read(&mut [0]).unwrap()), (2, 0));
    busy.write_all(b"|c\n").unwrap();
    clients.receive(&mut input, &shared).unwrap();
    let received = shared.lock();
    // The idle client's lines are not lost. The incomplete one is counted.
    assert_eq!((received.counts.samples, received.table.len()), (3, 2));
    let rejected = |reason| received.counts.rejected[reason].count;
    assert_eq!((rejected("connections"), rejected("truncated")), (1, 1));
}

/// A client over TCP, whose connection is reset when it is dropped.
fn reset_by(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    client
}

#[test]
fn an_incomplete_line_counts_only_after_an_orderly_end() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    tcp.set_nonblocking(true).unwrap();
    let address = tcp.local_addr().unwrap();
    let mut receiver = receiver(Vec::new());
    receiver.listeners.push(Listener::Tcp(tcp, Dialect::Statsd));
    let (shared, stop) = (Arc::clone(&receiver.shared), Stop::new().unwrap());
    let cut =
        |received: &Received| received.counts.rejected.get("truncated").map_or(0, |r| r.count);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new();
        let running = thread.spawn_scoped(scope, || receiver.run(&stop)).unwrap();
        // The rest would be `s`, and the type a timer.
        let line = |name: &str| format!("{name}:1|c\n{name}:320|m");
        let mut orderly = TcpStream::connect(address).unwrap();
        orderly.write_all(line("orderly").as_bytes()).unwrap();
        drop(orderly);
        until(&shared, |received| received.counts.samples == 2);
        let mut reset = reset_by(address);
        reset.write_all(line("reset").as_bytes()).unwrap();
        until(&shared, |received| received.counts.samples == 3);
        drop(reset);
        until(&shared, |received| cut(received) == 1);
        let mut open = TcpStream::connect(address).unwrap();
        open.write_all(line("open").as_bytes()).unwrap();
        until(&shared, |received| received.counts.samples == 4);
        stop.raise();
        assert!(running.join().unwrap().is_ok());
        drop(open);
    });
    let received = shared.lock();
    assert_eq!((received.counts.samples, cut(&received)), (4, 2), "{:?}", received.counts);
}

#[test]
fn many_new_clients_do_not_keep_a_thread_from_its_other_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sock");
    let (listener, shared, mut clients) = listening(&path, 1_000);
    let connect = || (0..MAX_ACCEPTS + 6).map(|_| UnixStream::connect(&path).unwrap());
    let connected: Vec<_> = connect().collect();
    for expected in [MAX_ACCEPTS, connected.len()] {
        clients.accept(&listener, &shared).unwrap();
        assert_eq!(clients.len(), expected);
    }
}

#[test]
fn a_line_that_is_too_long_is_counted_once_whether_it_comes_in_one_read_or_several() {
    for length in [65_000, 66_000, 70_000, 131_000, 200_000] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        let (listener, shared, mut clients) = listening(&path, 2);
        let mut input = Input::new();
        let mut client = UnixStream::connect(&path).unwrap();
        clients.accept(&listener, &shared).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let line = format!("a:{}|c\nb:1|c\n", "1".repeat(length));
                client.write_all(line.as_bytes()).unwrap();
            });
            while clients.len() > 0 {
                clients.receive(&mut input, &shared).unwrap();
            }
        });
        let received = shared.lock();
        let rejected: Vec<_> =
            received.counts.rejected.iter().map(|(reason, all)| (*reason, all.count)).collect();
        let expected = if length > 65_536 { ("too_long", 1) } else { ("value", 1) };
        assert_eq!((rejected, received.counts.samples), (vec![expected], 1), "{length}");
    }
}

#[test]
fn a_client_that_leaves_makes_room_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sock");
    let (listener, shared, mut clients) = listening(&path, 10);
    let mut leaves = UnixStream::connect(&path).unwrap();
    clients.accept(&listener, &shared).unwrap();
    leaves.write_all(b"a:1|c").unwrap();
    drop(leaves);
    // What it sent, and its end.
    for _ in 0..2 {
        clients.receive(&mut Input::new(), &shared).unwrap();
    }
    assert_eq!((clients.len(), shared.lock().counts.samples), (0, 1));
}
