//! Pages are served, bad requests affect no others, and stopping has a deadline.

use super::{HttpError, HttpServer, MAX_CONNECTIONS, Page};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(10);

fn server() -> HttpServer {
    HttpServer::start("127.0.0.1:0".parse().unwrap(), |path| match path {
        "/healthz" => Page::text(200, "ok\n"),
        "/metrics" => Page::metrics("up 1\n".to_owned()),
        _ => Page::text(404, "no such page\n"),
    })
    .unwrap()
}

fn connect(server: &HttpServer) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn ask(server: &HttpServer, request: &[u8]) -> String {
    let mut stream = connect(server);
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    // A connection may be reset after the answer, if the request was not read to its end.
    let read = stream.read_to_end(&mut answer);
    assert!(read.is_ok() || !answer.is_empty(), "{read:?}");
    String::from_utf8(answer).unwrap()
}

#[test]
fn each_path_gets_its_page() {
    let server = server();
    let answer = ask(&server, b"GET /healthz?x=1 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"));
    let answer = ask(&server, b"GET /metrics HTTP/1.0\r\n\r\n");
    assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
    assert!(ask(&server, b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n").starts_with("HTTP/1.1 404"));
}

#[test]
fn head_has_no_body_and_other_methods_are_refused() {
    let server = server();
    let answer = ask(&server, b"HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(answer.contains("content-length: 3") && answer.ends_with("\r\n\r\n"), "{answer}");
    let answer = ask(&server, b"DELETE /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("allow: GET, HEAD"), "{answer}");
}

#[test]
fn garbage_and_endless_heads_are_rejected_and_others_are_served() {
    let server = server();
    assert!(ask(&server, b"\xff\x00 garbage\r\n\r\n").starts_with("HTTP/1.1 400"));
    let mut endless = connect(&server);
    let line = [b'a'; 4096];
    let begun = Instant::now();
    while endless.write_all(&line).is_ok() {
        assert!(begun.elapsed() < DEADLINE, "an endless head is never rejected");
    }
    assert!(ask(&server, b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").starts_with("HTTP/1.1 200"));
}

#[test]
fn connections_beyond_the_limit_are_closed() {
    let server = server();
    let idle: Vec<_> = (0..MAX_CONNECTIONS).map(|_| connect(&server)).collect();
    let mut one_more = connect(&server);
    assert_eq!(one_more.read(&mut [0]).unwrap_or(0), 0);
    drop(idle);
    let begun = Instant::now();
    // The server notices only after a moment that the others are closed.
    loop {
        let mut stream = connect(&server);
        let mut answer = String::new();
        let sent = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
        if sent.is_ok() && stream.read_to_string(&mut answer).is_ok() && !answer.is_empty() {
            break assert!(answer.starts_with("HTTP/1.1 200"));
        }
        assert!(begun.elapsed() < DEADLINE, "never served again");
    }
}

#[test]
fn a_silent_peer_does_not_delay_the_stop() {
    let server = server();
    let _silent = connect(&server);
    let address = server.address();
    let begun = Instant::now();
    server.stop(DEADLINE);
    assert!(begun.elapsed() < DEADLINE);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_port_in_use_is_named() {
    let server = server();
    let error = HttpServer::start(server.address(), |_| Page::text(200, "")).unwrap_err();
    assert!(matches!(error, HttpError::Bind { .. }));
    let text = error.to_string();
    assert!(text.contains(&server.address().to_string()) && text.contains("already"), "{text}");
}
