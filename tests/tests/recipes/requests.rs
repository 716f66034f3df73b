//! A client that sends a known mix of HTTP requests to a service on this machine.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use zibrato_tests::DEADLINE;

/// Number of connections at the same time.
const CLIENTS: usize = 4;

/// Requests of one kind: the path, the service's route, the expected status, and how many.
pub(crate) type Mix = [(&'static str, &'static str, u16, u32)];

/// Sends all requests, from several threads, and checks the status of each answer.
pub(crate) fn send(port: u16, mix: &Mix) {
    let requests = mix.iter().flat_map(|(path, _, status, times)| {
        std::iter::repeat_n((*path, *status), *times as usize)
    });
    let requests: Vec<_> = requests.collect();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let share = requests.iter().skip(client).step_by(CLIENTS);
            scope.spawn(move || {
                for (path, status) in share {
                    assert_eq!(get(port, path).0, *status, "{path}");
                }
            });
        }
    });
}

/// The number of requests by route and status.
pub(crate) fn by_route(mix: &Mix) -> BTreeMap<(&'static str, u16), u32> {
    let mut all = BTreeMap::new();
    for (_, route, status, times) in mix {
        *all.entry((*route, *status)).or_default() += times;
    }
    all
}

/// The status and the body of the answer.
pub(crate) fn get(port: u16, path: &str) -> (u16, String) {
    request(connect(port), path)
}

pub(crate) fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Sends the request of a connection, and returns the status and the body of the answer.
pub(crate) fn request(mut stream: TcpStream, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
