//! The admin port: a TCP port that answers the commands of StatsD.

mod commands;

use commands::UNKNOWN;
pub(super) use commands::{Commands, Stats};

use crate::libzmq::reserve::is_reserved;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use zibrato::daemon::Stop;

/// Maximum number of connected clients. A further one takes the place of the one that has been idle for
/// the longest time.
const MAX_CLIENTS: usize = 16;

/// Maximum size of a command, in bytes.
const MAX_COMMAND: usize = 65_536;

/// Maximum time in which a client reads its answers.
const ANSWER: Duration = Duration::from_millis(500);

/// Pause after an error in accepting a connection, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// A connected client.
struct Client {
    stream: TcpStream,
    /// The beginning of a command.
    buffer: Vec<u8>,
    /// When something was last received.
    used: Instant,
}

/// Answers commands until `stop` is raised.
pub(super) fn run(listener: &TcpListener, mut commands: Commands, stop: &Stop) -> io::Result<()> {
    let mut clients: Vec<Client> = Vec::new();
    let pause = Timespec::try_from(PAUSE).map_err(io::Error::other)?;
    let mut pauses = false;
    loop {
        let mut items = vec![PollFd::new(stop, PollFlags::IN)];
        let accepts = if pauses { PollFlags::empty() } else { PollFlags::IN };
        items.push(PollFd::new(listener, accepts));
        items.extend(clients.iter().map(|client| PollFd::new(&client.stream, PollFlags::IN)));
        match poll(&mut items, pauses.then_some(&pause)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<_> = items.iter().map(|item| !item.revents().is_empty()).collect();
        if ready[0] {
            return Ok(());
        }
        let mut is_ready = ready[2..].iter();
        clients.retain_mut(|client| {
            !is_ready.next().is_some_and(|is| *is) || client.serve(&mut commands, stop).is_ok()
        });
        pauses = false;
        if ready[1] {
            match listener.accept().and_then(|(stream, _)| nonblocking(stream)) {
                // The journal needs the descriptor, and nobody is idle.
                Ok(stream) if is_reserved(stream.as_raw_fd()) && clients.is_empty() => {}
                Ok(stream) => {
                    if clients.len() >= MAX_CLIENTS || is_reserved(stream.as_raw_fd()) {
                        let idle = clients.iter().enumerate().min_by_key(|(_, idle)| idle.used);
                        let idle = idle.map(|(at, _)| at);
                        idle.iter().for_each(|at| drop(clients.swap_remove(*at)));
                    }
                    clients.push(Client { stream, buffer: Vec::new(), used: Instant::now() });
                }
                Err(error) => pauses = error.kind() != ErrorKind::WouldBlock,
            }
        }
    }
}

fn nonblocking(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    Ok(stream)
}

impl Client {
    /// Reads what has arrived, and answers. An error ends the connection.
    fn serve(&mut self, commands: &mut Commands, stop: &Stop) -> io::Result<()> {
        let mut left = ANSWER;
        let mut chunk = [0; 4_096];
        let count = match self.stream.read(&mut chunk) {
            Err(error) if is_temporary(&error) => return Ok(()),
            read => read?,
        };
        self.used = Instant::now();
        self.buffer.extend_from_slice(&chunk[..count]);
        if count == 0 || self.buffer.len() > MAX_COMMAND {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        while let Some(end) = memchr::memchr(b'\n', &self.buffer) {
            let line: Vec<_> = self.buffer.drain(..=end).collect();
            let answer = commands.answer(&String::from_utf8_lossy(&line));
            let answer = answer.ok_or(ErrorKind::UnexpectedEof)?;
            let begun = Instant::now();
            self.send(answer.as_bytes(), begun + left, stop)?;
            left = left.saturating_sub(begun.elapsed());
            // A web page can send a request here, whose body must not be executed.
            if answer == UNKNOWN {
                return Err(ErrorKind::InvalidData.into());
            }
        }
        Ok(())
    }

    /// Fails if the client has not read the answer in time, or `stop` is raised before.
    fn send(&mut self, mut answer: &[u8], until: Instant, stop: &Stop) -> io::Result<()> {
        while !answer.is_empty() {
            match self.stream.write(answer) {
                Ok(count) => answer = answer.get(count..).unwrap_or_default(),
                Err(error) if is_temporary(&error) => {
                    let left = until.saturating_duration_since(Instant::now());
                    let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
                    let mut items = [
                        PollFd::new(stop, PollFlags::IN),
                        PollFd::new(&self.stream, PollFlags::OUT),
                    ];
                    match poll(&mut items, Some(&timeout)) {
                        Ok(_) | Err(rustix::io::Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                    if left.is_zero() || !items[0].revents().is_empty() {
                        return Err(ErrorKind::TimedOut.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::{Commands, MAX_CLIENTS, Stats, run};
    use crate::intake::statsd::grammar::Dialect;
    use crate::intake::statsd::publish::SharedGauges;
    use crate::intake::statsd::shared::Shared;
    use crate::intake::statsd::state::Gauges;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::time::Duration;
    use zibrato::daemon::Stop;

    #[test]
    fn answers_that_are_larger_than_the_buffers_of_a_socket_are_whole() {
        let shared = Shared::new(10_000);
        for n in 0..10_000 {
            let line = format!("{n}{}:1|c", "x".repeat(200));
            shared.lock().take(line.as_bytes(), Dialect::Statsd, &"me", 1);
        }
        let mut commands = Commands {
            receivers: vec![Arc::new(shared)],
            gauges: Arc::new(SharedGauges::new(Gauges::new(1))),
            stats: Arc::new(Stats::default()),
            is_down: false,
        };
        let expected = commands.answer("counters").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let stop = Stop::new().unwrap();
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new();
            let running = thread.spawn_scoped(scope, || run(&listener, commands, &stop)).unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            client.write_all(b"counters\n").unwrap();
            let mut answer = vec![0; expected.len()];
            client.read_exact(&mut answer).unwrap();
            assert!(answer == expected.as_bytes());
            client.write_all(b"quit\n").unwrap();
            assert_eq!(client.read(&mut answer).unwrap(), 0);
            stop.raise();
            assert!(running.join().unwrap().is_ok());
        });
    }

    #[test]
    fn silent_clients_make_room() {
        let commands = Commands {
            receivers: Vec::new(),
            gauges: Arc::new(SharedGauges::new(Gauges::new(1))),
            stats: Arc::new(Stats::default()),
            is_down: false,
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let at = listener.local_addr().unwrap();
        let stop = Stop::new().unwrap();
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new();
            let running = thread.spawn_scoped(scope, || run(&listener, commands, &stop)).unwrap();
            let connect = || {
                let client = TcpStream::connect(at).unwrap();
                client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                client
            };
            let mut silent: Vec<_> = (0..MAX_CLIENTS).map(|_| connect()).collect();
            let mut client = connect();
            client.write_all(b"health\n").unwrap();
            let mut answer = [0; 11];
            let answered = client.read_exact(&mut answer);
            let closed = silent[0].read(&mut [0]);
            stop.raise();
            assert!(running.join().unwrap().is_ok());
            assert!(answered.is_ok(), "{answered:?}");
            assert_eq!(&answer, b"health: up\n");
            assert_eq!(closed.unwrap(), 0);
        });
    }

    #[test]
    fn the_body_of_a_web_request_is_not_executed() {
        let shared = Arc::new(Shared::new(100));
        shared.lock().take(b"a:1|c", Dialect::Statsd, &"me", 1);
        let commands = Commands {
            receivers: vec![Arc::clone(&shared)],
            gauges: Arc::new(SharedGauges::new(Gauges::new(1))),
            stats: Arc::new(Stats::default()),
            is_down: false,
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let stop = Stop::new().unwrap();
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new();
            let running = thread.spawn_scoped(scope, || run(&listener, commands, &stop)).unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            client.write_all(b"POST / HTTP/1.1\r\n\r\ndelcounters *\n").unwrap();
            let mut answer = Vec::new();
            // The end may be a reset, because the rest of the request is not read.
            let ended = client.read_to_end(&mut answer);
            stop.raise();
            assert!(running.join().unwrap().is_ok());
            let is_timeout = ended.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
            assert!(!is_timeout);
            assert!(!String::from_utf8_lossy(&answer).contains("deleted"));
        });
        assert_eq!(shared.lock().table.len(), 1);
    }
}
