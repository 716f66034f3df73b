//! Carbon against a listener in the test: everything written arrives, whatever the peer does.

mod resets;

use super::{Address, Carbon};
use crate::backend::{Backend, BackendProgram, Payload, SendError};
use clap::Parser;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use zibrato::window::Window;
use zibrato::wire::Line;

const LONG: Duration = Duration::from_secs(20);

fn listener() -> (TcpListener, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    (listener, address)
}

fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let begun = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                stream.set_read_timeout(Some(LONG)).unwrap();
                return stream;
            }
            Err(why) if why.kind() == ErrorKind::WouldBlock && begun.elapsed() < LONG => {
                std::thread::yield_now();
            }
            Err(why) => panic!("{why}"),
        }
    }
}

fn read(stream: &mut TcpStream, bytes: usize) -> String {
    let mut read = vec![0; bytes];
    stream.read_exact(&mut read).unwrap();
    String::from_utf8(read).unwrap()
}

/// A window of one counter, and its line.
fn window(sum: u32, start_s: u64) -> (Window, String) {
    let mut window = Window::new(start_s * 1000, 60_000, 1000);
    window.fold_line(&Line::decode(format!("i|c|n|{sum}|1|s").as_bytes()).unwrap());
    (window, format!("s.n {sum} {start_s}\n"))
}

/// A window of several payloads, and all of its lines.
fn large(start_s: u64) -> (Window, String) {
    let mut window = Window::new(start_s * 1000, 60_000, 100_000);
    let mut lines = String::new();
    for n in 0..4000 {
        window.fold_line(&Line::decode(format!("i|c|{n:0>50}|1|1|s").as_bytes()).unwrap());
        lines.push_str(&format!("s.{n:0>50} 1 {start_s}\n"));
    }
    (window, lines)
}

/// Sends one payload until it is accepted, as the worker does.
fn send(carbon: &mut Carbon, payload: &Payload) -> usize {
    let begun = Instant::now();
    for tries in 1.. {
        match carbon.send(payload) {
            Ok(()) => return tries,
            Err(SendError::Retry { .. } | SendError::Unknown { .. }) => {
                assert!(begun.elapsed() < LONG, "never accepted")
            }
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!()
}

fn deliver(carbon: &mut Carbon, window: Window) -> usize {
    let payloads = carbon.payloads(window);
    payloads.iter().map(|payload| send(carbon, payload)).sum()
}

#[test]
fn the_connection_is_kept_from_window_to_window() {
    let (listener, address) = listener();
    let mut carbon = Carbon::to(address);
    let ((a, line_a), (b, line_b)) = (window(1, 60), window(2, 120));
    deliver(&mut carbon, a);
    deliver(&mut carbon, b);
    let mut stream = accept(&listener);
    assert_eq!(read(&mut stream, line_a.len() + line_b.len()), line_a + &line_b);
    assert!(listener.accept().is_err_and(|why| why.kind() == ErrorKind::WouldBlock));
}

#[test]
fn a_peer_may_start_after_the_worker() {
    let (listener, address) = listener();
    let port = listener.local_addr().unwrap();
    drop(listener);
    let mut carbon = Carbon::to(address);
    let (window, line) = window(1, 60);
    let payloads = carbon.payloads(window);
    for _ in 0..3 {
        assert!(matches!(carbon.send(&payloads[0]), Err(SendError::Retry { after: None, .. })));
    }
    let listener = TcpListener::bind(port).unwrap();
    assert_eq!(send(&mut carbon, &payloads[0]), 1);
    assert_eq!(read(&mut accept(&listener), line.len()), line);
}

#[test]
fn after_an_orderly_end_the_last_window_is_written_again_with_the_next() {
    let (listener, address) = listener();
    let mut carbon = Carbon::to(address);
    let mut lines = String::new();
    for n in 1..4 {
        let (window, line) = window(n, u64::from(n) * 60);
        assert_eq!(deliver(&mut carbon, window), 1);
        lines.push_str(&line);
        // The peer has read everything, and is killed before it has stored any of it.
        assert_eq!(read(&mut accept(&listener), lines.len()), lines);
    }
}

#[test]
fn a_peer_that_closes_after_each_window_gets_each_on_the_first_attempt() {
    let (listener, address) = listener();
    let mut carbon = Carbon::to(address);
    let (first, line) = window(1, 60);
    let peer = std::thread::Builder::new().spawn(move || {
        drop(read(&mut accept(&listener), line.len()));
        listener
    });
    assert_eq!(deliver(&mut carbon, first), 1);
    let listener = peer.unwrap().join().unwrap();
    let (second, line) = window(2, 120);
    assert_eq!(deliver(&mut carbon, second), 1);
    assert!(read(&mut accept(&listener), 2 * line.len() - 1).ends_with(&line));
}

#[test]
fn unread_data_is_written_again() {
    let (listener, address) = listener();
    let mut carbon = Carbon::to(address);
    let ((a, line_a), (b, line_b)) = (window(1, 60), window(2, 120));
    deliver(&mut carbon, a);
    drop(accept(&listener));
    deliver(&mut carbon, b);
    let expected = line_a + &line_b;
    assert_eq!(read(&mut accept(&listener), expected.len()), expected);
}

#[test]
fn a_window_that_was_interrupted_is_written_again() {
    let (listener, address) = listener();
    let peer = std::thread::Builder::new().spawn(move || {
        // The first connection is closed with unread bytes.
        let mut first = accept(&listener);
        read(&mut first, 100_000);
        drop(first);
        let mut second = accept(&listener);
        let mut all = String::new();
        second.read_to_string(&mut all).unwrap();
        all
    });
    let mut carbon = Carbon::to(address);
    let (window, lines) = large(60);
    deliver(&mut carbon, window);
    drop(carbon);
    let all = peer.unwrap().join().unwrap();
    let mut got: Vec<_> = all.lines().collect();
    assert!(all.ends_with('\n'));
    got.sort_unstable();
    got.dedup();
    assert_eq!(got, lines.lines().collect::<Vec<_>>());
}

#[test]
fn a_stalled_peer_times_out() {
    let (listener, address) = listener();
    let mut carbon = Carbon::to(address).timeout(Duration::from_millis(200));
    // More than the kernel's buffers hold.
    let payload = Payload::new(vec![b'\n'; 64 << 20], 1);
    let begun = Instant::now();
    let Err(SendError::Unknown { why, .. }) = carbon.send(&payload) else { panic!("taken") };
    assert!(begun.elapsed() < LONG);
    assert!(why.to_string().contains("broke"), "{why}");
    let hanging = accept(&listener);
    // A new connection is opened, and a peer that reads receives everything.
    let (window, line) = window(7, 60);
    deliver(&mut carbon, window);
    assert_eq!(read(&mut accept(&listener), line.len()), line);
    drop(hanging);
}

#[test]
fn unread_data_is_written_again_after_any_number_of_resets() {
    let (listener, address) = listener();
    let mut carbon = Carbon::to(address);
    let ((a, line_a), (b, line_b)) = (window(1, 60), window(2, 120));
    deliver(&mut carbon, a);
    drop(accept(&listener));
    // Like a proxy whose backend is down: each connection is accepted and reset immediately.
    let away = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let expected = line_a + &line_b;
    let (is_away, most) = (std::sync::Arc::clone(&away), expected.len());
    let peer = std::thread::Builder::new().spawn(move || {
        loop {
            let mut stream = accept(&listener);
            if is_away.load(std::sync::atomic::Ordering::SeqCst) {
                rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
            } else {
                return read(&mut stream, most);
            }
        }
    });
    let payload = carbon.payloads(b).remove(0);
    for _ in 0..6 {
        assert!(carbon.send(&payload).is_err());
    }
    away.store(false, std::sync::atomic::Ordering::SeqCst);
    carbon.send(&payload).unwrap();
    assert_eq!(peer.unwrap().join().unwrap(), expected);
}

#[test]
fn data_from_the_peer_is_ignored() {
    use std::io::Write;
    let (listener, address) = listener();
    let mut carbon = Carbon::to(address);
    let ((a, line_a), (b, line_b)) = (window(1, 60), window(2, 120));
    deliver(&mut carbon, a);
    let mut stream = accept(&listener);
    stream.write_all(&[b'x'; 100_000]).unwrap();
    deliver(&mut carbon, b);
    assert_eq!(read(&mut stream, line_a.len() + line_b.len()), line_a + &line_b);
}

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    flags: <Carbon as BackendProgram>::Flags,
}

fn open(args: &[&str]) -> Result<Carbon, String> {
    let args = std::iter::once("zibrato-carbon").chain(args.iter().copied());
    let cli = Cli::try_parse_from(args).map_err(|error| error.to_string())?;
    Carbon::open(cli.flags).map_err(|failure| failure.message)
}

#[test]
fn errors_about_invalid_flags_say_what_to_do() {
    for args in [&[][..], &["--prefix", "a.b"], &["--prefix", "a."], &["--carbon", "[::1]:2003"]] {
        assert!(open(args).is_ok(), "{args:?}");
    }
    for (args, part) in [
        (["--prefix", "a b"], "use `a_b`"),
        (["--carbon", "carbon"], "write host:port"),
        (["--timeout", "0"], "from 0.1 to 3600"),
        (["--timeout", "nan"], "from 0.1 to 3600"),
        (["--timer-parts", "p200"], "percentiles"),
    ] {
        let error = open(&args).unwrap_err();
        assert!(error.contains(part), "{args:?}: {error}");
    }
}

#[cfg(feature = "slack")]
#[test]
fn what_the_peer_has_not_read_is_not_confirmed() {
    let payload = || Payload::new(b"s.n 1 60\n".to_vec(), 1);
    let carbon =
        |address: &Address| Carbon::to(address.clone()).timeout(Duration::from_millis(300));
    // It accepts nothing, but the system does, and takes the data.
    let (_stalled, address) = listener();
    let mut hanging = carbon(&address);
    let refused = hanging.deliver_confirmed(&payload());
    assert!(matches!(refused, Err(SendError::Unknown { .. })), "{refused:?}");
    let (reads, address) = listener();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut text = String::new();
            accept(&reads).read_to_string(&mut text).unwrap();
            assert_eq!(text, "s.n 1 60\n");
        });
        let mut reading = Carbon::to(address).timeout(LONG);
        reading.deliver_confirmed(&payload()).unwrap();
    });
}
