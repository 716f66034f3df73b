//! Clients that lie, hang, flood or guess: each gets a clear error, and others are served.

use super::{Answer, Broker, Client, receive, request};
use crate::harness::DEADLINE;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

const GAUGE: &str = r#"{"gauges":[{"name":"good","value":7}]}"#;

#[track_caller]
fn is_served(broker: &Broker) {
    assert_eq!(broker.connect().post("/v1/metrics", GAUGE).status, 200);
}

#[track_caller]
fn is_refused(answer: Option<Answer>, status: u16, part: &str) {
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.body.contains(part), "{answer:?}");
}

#[test]
fn large_bodies_and_bombs_are_refused() {
    let broker = Broker::start(&[]);
    let block = vec![b' '; 1 << 20];
    // 100 MiB, announced. The client sends all of it before it reads.
    let mut client = broker.connect();
    client.send(request("POST", "/v1/metrics", "Content-Length: 104857600\r\n"));
    (0..100).for_each(|_| client.send(&block));
    is_refused(client.answer(), 413, "larger than 8 MiB");
    // Asked before it is sent.
    let mut client = broker.connect();
    let expect = "Content-Length: 104857600\r\nExpect: 100-continue\r\n";
    client.send(request("POST", "/v1/metrics", expect));
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    let answers: Vec<_> = std::iter::from_fn(|| client.answer()).map(|a| a.status).collect();
    assert_eq!(answers.last(), Some(&413), "{answers:?}");
    // 20 MiB in chunks.
    let mut client = broker.connect();
    client.send(request("POST", "/v1/metrics", "Transfer-Encoding: chunked\r\n"));
    for _ in 0..20 {
        client.send([b"100000\r\n", &block[..], b"\r\n"].concat());
    }
    client.send("0\r\n\r\n");
    is_refused(client.answer(), 413, "larger than 8 MiB");
    // 1 GiB, packed.
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    (0..1_024).for_each(|_| bomb.write_all(&block).unwrap());
    let bomb = bomb.finish().unwrap();
    let answer = broker.connect().ask("POST", "/v1/metrics", "Content-Encoding: gzip\r\n", bomb);
    is_refused(Some(answer), 413, "larger than 8 MiB");
    is_served(&broker);
    broker.until_rejected("body_size", 4);
    broker.stop();
}

#[test]
fn bodies_that_are_not_what_their_heads_say_harm_nobody() {
    let broker = Broker::start(&[]);
    let send = |text: &str| {
        let mut client = broker.connect();
        client.send(text);
        // The broker may have closed the connection already.
        client.0.get_ref().shutdown(Shutdown::Write).ok();
        client.answer().map(|answer| answer.status)
    };
    let length = |length: &str| {
        request("POST", "/v1/metrics", &format!("Content-Length: {length}\r\n")) + GAUGE
    };
    let chunked =
        |body: &str| request("POST", "/v1/metrics", "Transfer-Encoding: chunked\r\n") + body;
    for (text, statuses) in [
        // Shorter than the body: the rest is not HTTP.
        (length("5"), &[Some(400)][..]),
        // Longer, until the connection ends.
        (length("500"), &[Some(400), None]),
        (length("-1"), &[Some(400)]),
        (length("99999999999999999999999"), &[Some(400)]),
        (length("5, 6"), &[Some(400)]),
        (chunked("zz\r\nabc\r\n0\r\n\r\n"), &[Some(400), None]),
        (chunked("ffffffffffffffffff\r\nabc"), &[Some(400), None]),
        (chunked("3\r\nabcdef\r\n"), &[Some(400), None]),
        ("\u{0}\u{1}garbage\r\n\r\n".to_owned(), &[Some(400), None]),
        (
            format!("GET /v1/metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)),
            &[Some(431), Some(400), None],
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(70_000)),
            &[Some(414), Some(431), Some(401), None],
        ),
    ] {
        let status = send(&text);
        assert!(statuses.contains(&status), "{text:.200}: {status:?}");
    }
    is_served(&broker);
    broker.until_rejected("http", 4);
    let log = broker.stop();
    let warning = log.iter().find(|line| line.contains("\"reason\":\"http\"")).unwrap();
    assert!(warning.contains("\"why\":") && warning.contains("from 127.0.0.1:"), "{warning}");
}

#[test]
fn clients_that_hang_do_not_keep_others_waiting() {
    let broker = Broker::start(&[]);
    let subscriber = broker.subscribe("librato");
    let length = format!("Content-Length: {}\r\n", GAUGE.len());
    let head = request("POST", "/v1/metrics", &length);
    let half = |text: &str| {
        let mut client = broker.connect();
        client.send(text);
        client
    };
    let (first, rest) = GAUGE.split_at(10);
    let (begun, ended) = head.split_at(head.len() - 10);
    let mut heads: Vec<_> = (0..20).map(|_| half(begun)).collect();
    let mut bodies: Vec<_> = (0..20).map(|_| half(&format!("{head}{first}"))).collect();
    is_served(&broker);
    receive(&subscriber, &[("not_specified good", 7.0)]);
    // Those that go on are served, too.
    heads[0].send(format!("{ended}{GAUGE}"));
    bodies[0].send(rest);
    for client in [&mut heads[0], &mut bodies[0]] {
        assert_eq!(client.answer().unwrap().status, 200);
    }
    // The others are told after half a minute that they are too slow.
    is_refused(bodies[1].answer(), 408, "did not arrive within 30 s");
    broker.until_rejected("slow", 19);
    broker.stop();
}

#[test]
fn idle_connections_make_room_for_others() {
    let broker = Broker::start(&[]);
    let (begun, mut idle) = (Instant::now(), Vec::new());
    // More than there may be.
    while idle.len() < 1_300 {
        assert!(begun.elapsed() < DEADLINE, "{} connections", idle.len());
        match TcpStream::connect(broker.address()) {
            Ok(stream) => idle.push(stream),
            // This process has no more descriptors.
            Err(_) if idle.len() > 1_100 => break,
            Err(error) => panic!("{error}"),
        }
    }
    is_served(&broker);
    broker.until_rejected("connections", idle.len() as u64 - 1_000);
    is_served(&broker);
    broker.stop();
}

#[test]
fn a_client_that_speaks_tls_is_told_so_in_the_log() {
    let broker = Broker::start(&[]);
    let mut client = broker.connect();
    client.send([22, 3, 1, 0, 200, 1]);
    assert!(client.answer().is_none());
    broker.until_rejected("tls", 1);
    is_served(&broker);
    let log = broker.stop();
    assert!(log.iter().any(|line| line.contains("the client speaks HTTPS")), "{log:#?}");
}

#[test]
fn strangers_with_slow_bodies_make_room_for_users() {
    let broker = Broker::start(&[]);
    let (begun, mut strangers) = (Instant::now(), Vec::new());
    while strangers.len() < 1_200 {
        assert!(begun.elapsed() < DEADLINE, "{} connections", strangers.len());
        let mut stream = TcpStream::connect(broker.address()).unwrap();
        let head = "POST /v1/metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\
                    Authorization: Basic YW5uOnQy\r\n\r\n{";
        stream.write_all(head.as_bytes()).unwrap();
        strangers.push(stream);
    }
    is_served(&broker);
    broker.until_rejected("connections", 1);
    broker.stop();
}

#[test]
fn wrong_tokens_are_counted_and_the_file_of_users_can_change() {
    let broker = Broker::start(&[]);
    let wrong = |credentials: &str| {
        let mut client = broker.connect();
        client.send(format!(
            "POST /v1/metrics HTTP/1.1\r\nHost: h\r\n{credentials}Content-Length: 2\r\n\r\n{{}}"
        ));
        let answer = client.answer().unwrap();
        assert_eq!(answer.status, 401, "{credentials}");
        assert_eq!(answer.headers["www-authenticate"], "Basic realm=\"Zibrato\"");
    };
    std::thread::scope(|scope| {
        for credentials in [
            "Authorization: Basic Og==\r\n",
            "Authorization: Basic YW5uOnQy\r\n",
            "Authorization: Bearer t1\r\n",
            "Authorization: Basic \u{e9}\r\n",
            "Authorization: Basic YW5u\r\n",
        ] {
            let builder = std::thread::Builder::new();
            builder.spawn_scoped(scope, move || wrong(credentials)).unwrap();
        }
    });
    broker.until_rejected("auth", 5);
    // Whoever sends none is asked for them, and that is no guess.
    wrong("");
    broker.until_rejected("no_credentials", 1);
    assert_eq!(broker.rejected()["auth"], 5);
    is_served(&broker);
    // Tokens are exchanged while it runs.
    std::fs::write(broker.folder.path().join("users"), "ann: t2\n").unwrap();
    let begun = Instant::now();
    let asked = |client: &mut Client| client.post("/v1/metrics", GAUGE).status;
    while asked(&mut broker.connect()) != 401 {
        assert!(begun.elapsed() < DEADLINE, "the file is not read again");
    }
    let log = broker.stop();
    assert!(log.iter().any(|line| line.contains("\"event\":\"reloaded\"")), "{log:?}");
    assert!(log.iter().all(|line| !line.contains("t1") && !line.contains("t2")), "{log:?}");
}
