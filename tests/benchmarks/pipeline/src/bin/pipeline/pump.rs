//! The bare pump: a thread that moves messages from a PULL socket to an XPUB socket, with the same
//! ports, rounds and queues as the broker.

use std::net::TcpListener;
use zibrato_benchmark_pipeline::Failure;
use zmq::{DONTWAIT, Message, SNDMORE};

const ROUND: usize = 1_000;
const HIGH_WATER: i32 = 10_000;

pub fn run() -> Result<(), Failure> {
    let context = zmq::Context::new();
    let (base, [pull, publish, _replay, legacy]) =
        (0..100).find_map(|_| bind(&context).ok()).ok_or("no free ports")?;
    legacy.set_subscribe(b"")?;
    println!("{base}");
    loop {
        let mut items = [&pull, &publish, &legacy].map(|socket| socket.as_poll_item(zmq::POLLIN));
        zmq::poll(&mut items, 1_000)?;
        while publish.recv_msg(DONTWAIT).is_ok() {}
        for intake in [&pull, &legacy] {
            for _ in 0..ROUND {
                let mut message = Message::new();
                if intake.recv(&mut message, DONTWAIT).is_err() {
                    break;
                }
                let mut more = message.get_more();
                publish.send(message, if more { DONTWAIT | SNDMORE } else { DONTWAIT })?;
                while more {
                    let mut message = Message::new();
                    intake.recv(&mut message, 0)?;
                    more = message.get_more();
                    publish.send(message, if more { DONTWAIT | SNDMORE } else { DONTWAIT })?;
                }
            }
        }
    }
}

fn bind(context: &zmq::Context) -> Result<(u16, [zmq::Socket; 4]), Failure> {
    let base = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let open = |kind, offset: u16| -> Result<zmq::Socket, Failure> {
        let socket = context.socket(kind)?;
        socket.set_sndhwm(HIGH_WATER)?;
        socket.set_rcvhwm(HIGH_WATER)?;
        let port = base.checked_add(offset).ok_or("no port left")?;
        socket.bind(&format!("tcp://127.0.0.1:{port}"))?;
        Ok(socket)
    };
    let sockets =
        [open(zmq::PULL, 0)?, open(zmq::XPUB, 1)?, open(zmq::ROUTER, 2)?, open(zmq::SUB, 3)?];
    Ok((base, sockets))
}
