//! A recipe of docs/recipes.md: a server that forks its workers.
#![expect(unsafe_code, reason = "fork has no safe form")]

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;
use zibrato::{Zibrato, count, time_me};

const WORKERS: usize = 3;

#[time_me(name = "prefork.answer", outcomes)]
fn answer(mut stream: TcpStream, worker: usize) -> io::Result<()> {
    count!("info", "prefork.requests", tags(worker = worker));
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = [0; 1024];
    let _length = stream.read(&mut request)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
}

/// Answers requests until a signal arrives. The request that is being answered is finished.
fn serve(listener: &TcpListener, worker: usize, stop: SigSet) -> Result<(), Box<dyn Error>> {
    let (stopped, stopper) = io::pipe()?;
    let close_at_signal = move || {
        stop.wait().ok();
        drop(stopper);
    };
    thread::Builder::new().spawn(close_at_signal)?;
    loop {
        let descriptors = [stopped.as_fd(), listener.as_fd()];
        let mut events = descriptors.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        poll(&mut events, PollTimeout::NONE)?;
        if events[0].any() == Some(true) {
            return Ok(());
        }
        // Another worker may have accepted the connection.
        if let Ok((stream, _)) = listener.accept() {
            answer(stream, worker).ok(); // a client that is gone does not matter
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // Before any thread starts, so that only `wait` takes these signals.
    let stop = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    stop.thread_block()?;
    let _zibrato = Zibrato::builder().source("prefork").install()?;
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?; // a worker waits in `poll`, also for the end
    let mut children = Vec::new();
    for worker in 0..WORKERS {
        // SAFETY: the only other threads are those of Zibrato, which supports forks.
        match unsafe { fork() }? {
            ForkResult::Child => return serve(&listener, worker, stop), // drops the guard
            ForkResult::Parent { child } => children.push(child),
        }
    }
    stop.wait()?;
    for child in &children {
        kill(*child, Signal::SIGTERM)?;
    }
    for child in children {
        waitpid(child, None)?;
    }
    Ok(())
}
