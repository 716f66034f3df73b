//! The bytes of ZeroMQ between publishers, broker and workers: a peer without a library talks to a
//! broker.

use crate::compare::Differences;
use crate::json::{bytes, text, texts};
use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use zibrato_tests::{Broker, DEADLINE};

/// The greeting of a peer that knows version 3.0 and no encryption.
fn greeting() -> Vec<u8> {
    let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0];
    greeting.extend(b"NULL");
    greeting.resize(64, 0);
    greeting
}

/// The command READY of a socket.
fn ready(socket: &str) -> Vec<u8> {
    let mut body = b"\x05READY\x0bSocket-Type".to_vec();
    body.extend((socket.len() as u32).to_be_bytes());
    body.extend(socket.as_bytes());
    [&[4, body.len() as u8], &*body].concat()
}

/// A peer that has shaken hands, what it was greeted with, and the READY of the other side.
fn peer(port: u16, socket: &str) -> anyhow::Result<(TcpStream, Vec<u8>, Vec<u8>)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(&greeting())?;
    let mut theirs = vec![0; 64];
    stream.read_exact(&mut theirs)?;
    stream.write_all(&ready(socket))?;
    let ready = frame(&mut stream)?;
    Ok((stream, theirs, ready))
}

/// A short frame with its head.
fn frame(stream: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut frame = vec![0; 2];
    stream.read_exact(&mut frame)?;
    let mut body = vec![0; usize::from(frame[1])];
    stream.read_exact(&mut body)?;
    frame.extend(body);
    Ok(frame)
}

/// Runs one case.
pub(super) fn check(case: &Value, differences: &mut Differences) -> anyhow::Result<()> {
    let id = text(case, "id")?;
    if id == "zib-wire-prefix-match" {
        let (args, delivered) = (&case["args"], texts(&case["delivered"]));
        let subscribed = text(args, "subscribed")?;
        let mut sent = texts(&args["sent"]);
        sent.retain(|line| line.starts_with(subscribed));
        if delivered == sent {
            differences
                .by_design("a level is subscribed to with its bar, so no other level comes too");
        } else {
            differences.fail(format!("recorded {delivered:?}"));
        }
        return Ok(());
    }
    let recorded = bytes(text(case, "hex")?)?;
    match id {
        "zib-wire-greeting" => {
            let broker = Broker::start();
            let (_, mut found, _) = peer(broker.publishing_port(), "SUB")?;
            if found == recorded {
                return Ok(());
            }
            // The minor version.
            *found.get_mut(11).context("a short greeting")? = 0;
            if found == recorded {
                differences.by_design("libzmq announces version 3.1");
            } else {
                differences.fail(format!("found {found:02x?}"));
            }
        }
        "zib-wire-ready-pub" => {
            let broker = Broker::start();
            let (_, _, found) = peer(broker.publishing_port(), "SUB")?;
            let known = ready("PUB");
            if found.starts_with(&known) && recorded == known {
                return Ok(());
            }
            let has = |part: &[u8]| found.windows(part.len()).any(|window| window == part);
            if recorded == known && has(b"READY") && has(b"\0\0\0\x04XPUB") {
                differences
                    .by_design("the broker publishes with XPUB, which subscribers take for PUB");
            } else {
                differences.fail(format!("found {found:02x?}"));
            }
        }
        "zib-wire-subscribe-all" => {
            let broker = Broker::start();
            let (mut stream, _, _) = peer(broker.legacy_port(), "PUB")?;
            let found = frame(&mut stream)?;
            if found != recorded {
                differences.fail(format!("found {found:02x?}"));
            }
        }
        "zib-wire-subscribe-info" => {
            let level = text(&case["args"], "level")?;
            let message = [&[0, level.len() as u8 + 1, 1], level.as_bytes()].concat();
            if recorded == message {
                differences.by_design(
                    "a level is subscribed to with its bar, so no other level comes too",
                );
            } else {
                differences.fail(format!("recorded {recorded:02x?}"));
            }
        }
        "zib-wire-message-long-head" => {
            let (head, rest) = recorded.split_at_checked(9).context("a short frame")?;
            let length = u64::from_be_bytes(head[1..].try_into()?);
            ensure!(head[0] == 2, "the frame is not a long one");
            if length == 329 && "info|".as_bytes().starts_with(rest) && rest.len() == 3 {
                differences.by_design("frames are written by libzmq");
            } else {
                differences.fail(format!("recorded {recorded:02x?}"));
            }
        }
        other => bail!("the case `{other}` is unknown"),
    }
    Ok(())
}
