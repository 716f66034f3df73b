//! The admin port: a TCP port that answers the commands of StatsD.

mod commands;

pub(super) use commands::{Commands, Stats};

use rustix::event::{PollFd, PollFlags, poll};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use zibrato::daemon::Stop;

/// Maximum number of connected clients.
const MAX_CLIENTS: usize = 16;

/// Maximum size of a command, in bytes.
const MAX_COMMAND: usize = 65_536;

/// Maximum wait for a client that does not read its answer.
const ANSWER: Duration = Duration::from_secs(2);

/// A connected client.
struct Client {
    stream: TcpStream,
    /// The beginning of a command.
    buffer: Vec<u8>,
}

/// Answers commands until `stop` is raised.
pub(super) fn run(listener: &TcpListener, mut commands: Commands, stop: &Stop) -> io::Result<()> {
    let mut clients: Vec<Client> = Vec::new();
    loop {
        let mut items = vec![PollFd::new(stop, PollFlags::IN)];
        // Further clients wait until one leaves.
        let accepts = if clients.len() < MAX_CLIENTS { PollFlags::IN } else { PollFlags::empty() };
        items.push(PollFd::new(listener, accepts));
        items.extend(clients.iter().map(|client| PollFd::new(&client.stream, PollFlags::IN)));
        match poll(&mut items, None) {
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
            !is_ready.next().is_some_and(|is| *is) || client.serve(&mut commands).is_ok()
        });
        if ready[1]
            && let Ok((stream, _)) = listener.accept()
            && stream.set_nonblocking(false).is_ok()
            && stream.set_read_timeout(Some(ANSWER)).is_ok()
            && stream.set_write_timeout(Some(ANSWER)).is_ok()
        {
            clients.push(Client { stream, buffer: Vec::new() });
        }
    }
}

impl Client {
    /// Reads what has arrived, and answers. An error ends the connection.
    fn serve(&mut self, commands: &mut Commands) -> io::Result<()> {
        let mut chunk = [0; 4_096];
        let count = self.stream.read(&mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..count]);
        if count == 0 || self.buffer.len() > MAX_COMMAND {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while let Some(end) = memchr::memchr(b'\n', &self.buffer) {
            let line: Vec<_> = self.buffer.drain(..=end).collect();
            let answer = commands.answer(&String::from_utf8_lossy(&line));
            let answer = answer.ok_or(io::ErrorKind::UnexpectedEof)?;
            self.stream.write_all(answer.as_bytes())?;
        }
        Ok(())
    }
}
