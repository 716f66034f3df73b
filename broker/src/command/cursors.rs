//! `zibrato-broker cursors`: lists, moves and deletes the cursors of a running broker.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use zibrato::clock;
use zibrato::curve::Curve;
use zibrato::daemon::{Exit, Failure, parse_rfc3339, print};
use zibrato::wire::{CursorState, Endpoint, Named, ReplayAnswer, ReplayRequest, Reset, ResetTo};

/// Timeout of the broker's answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time without an answer after which it is checked whether anything listens.
const SOON: Duration = Duration::from_millis(200);

/// Timeout when looking for the broker whose port was given by mistake.
const SEARCH: Duration = Duration::from_secs(1);

/// Maximum number of sockets that are open at the same time.
pub(crate) const SOCKETS: usize = 4;

const EXAMPLES: &str = "\
Examples:
  zibrato-broker cursors list
  zibrato-broker cursors reset zibrato-carbon --to end
  zibrato-broker cursors reset zibrato-carbon --to 2026-11-21T08:00:00Z
  zibrato-broker cursors delete zibrato-librato --port 6000";

/// Help texts of the broker's flags for this command.
pub(crate) const FLAGS: [(&str, &str); 4] = [
    (
        "host",
        "Host of the running broker, or the folder of its Unix sockets, such as ipc:///run/zibrato",
    ),
    ("port", "The --port of the running broker"),
    ("ipc", "The --ipc folder of the running broker, instead of --host and --port"),
    ("curve_key", "The --curve-key file of the running broker, if it encrypts"),
];

/// List, move and delete the cursors (reading positions) of a running broker
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CursorsCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum What {
    /// List the position of each reader
    #[command(after_help = "\
Examples:
  zibrato-broker cursors list
  zibrato-broker cursors list --port 6000
  zibrato-broker cursors list --ipc /run/zibrato")]
    List,
    /// Move a cursor. Stop the worker first
    #[command(after_help = "\
Examples:
  zibrato-broker cursors reset zibrato-carbon --to end
  zibrato-broker cursors reset zibrato-carbon --to 1042
  zibrato-broker cursors reset zibrato-carbon --to 2026-11-21T08:00:00Z")]
    Reset {
        /// Name of the cursor: the --name of a worker
        name: String,
        /// New position: `end`, `start`, an offset (reading continues after it), or a UTC time
        #[arg(long, value_name = "PLACE", value_parser = place)]
        to: ResetTo,
    },
    /// Delete a cursor, so that its levels are no longer kept for it. Stop the worker first
    #[command(after_help = "\
Examples:
  zibrato-broker cursors delete zibrato-librato
  zibrato-broker cursors delete zibrato-librato --port 6000")]
    Delete {
        /// Name of the cursor: the --name of a worker
        name: String,
    },
}

/// How to connect to a running broker.
pub(crate) struct RunningBroker<'a> {
    pub(crate) context: zmq::Context,
    pub(crate) curve: Option<Curve>,
    pub(crate) port: u16,
    /// The endpoint of the journal of a broker with a given --port.
    pub(crate) endpoint: &'a dyn Fn(u16) -> String,
}

impl RunningBroker<'_> {
    /// Sends a request to the broker with this --port.
    fn send(&self, port: u16, request: &ReplayRequest) -> zmq::Result<zmq::Socket> {
        let socket = self.context.socket(zmq::DEALER)?;
        socket.set_linger(0)?;
        if let Some(curve) = &self.curve {
            curve.secure(&socket)?;
        }
        socket.connect(&(self.endpoint)(port))?;
        socket.send_multipart(request.encode(), 0)?;
        Ok(socket)
    }

    /// Explains that the given port is a different port of a running broker, if that broker
    /// answers.
    fn wrong_port(&self) -> Option<String> {
        let listens = |port: u16| {
            let endpoint = (self.endpoint)(port);
            endpoint.starts_with("tcp://") && connect(&endpoint, SEARCH).is_ok()
        };
        let others = Endpoint::ALL.iter().filter(|endpoint| endpoint.offset() > 0);
        let asked: Vec<_> = others
            .filter_map(|given| Some((given, self.port.checked_sub(given.offset())?)))
            .filter(|(_, port)| *port > 0 && listens(*port))
            .filter_map(|(given, port)| {
                Some((given, port, self.send(port, &ReplayRequest::Cursors).ok()?))
            })
            .collect();
        if asked.is_empty() {
            return None;
        }
        let mut items: Vec<_> =
            asked.iter().map(|(.., socket)| socket.as_poll_item(zmq::POLLIN)).collect();
        zmq::poll(&mut items, i64::try_from(SEARCH.as_millis()).unwrap_or(i64::MAX)).ok()?;
        let answered = items.iter().position(zmq::PollItem::is_readable)?;
        let (given, right, socket) = asked.get(answered)?;
        receive(socket)?;
        let does = match given {
            Endpoint::Publishers => "receives measurements",
            Endpoint::Subscribers => "publishes",
            Endpoint::Replay => "serves the journal",
            Endpoint::Legacy => "serves publishers of Python Zibrato 0.2",
        };
        let port = self.port;
        Some(format!("the broker {does} on port {port}: give --port {right} instead of {port}"))
    }
}

/// Sends the request to a broker.
pub(crate) fn run(command: &CursorsCommand, broker: &RunningBroker<'_>) -> Result<(), Failure> {
    let at = &*(broker.endpoint)(broker.port);
    let request = match &command.what {
        What::List => ReplayRequest::Cursors,
        What::Reset { name, to } => ReplayRequest::Reset(Reset { name: name.clone(), to: *to }),
        What::Delete { name } => ReplayRequest::Delete(Named { name: name.clone() }),
    };
    let said = match ask(broker, at, &request)? {
        ReplayAnswer::Cursors(cursors) => table(&cursors, clock::unix_ms()),
        ReplayAnswer::Done(done) => match &command.what {
            What::Reset { name, .. } => format!("{name} continues after offset {}\n", done.offset),
            _ => format!("deleted; its offset was {}\n", done.offset),
        },
        ReplayAnswer::Refused(refused) => {
            return Err(Failure::new(Exit::Unavailable, refused.text));
        }
        _ => return Err(strange(at)),
    };
    print(&said)
}

fn ask(
    broker: &RunningBroker<'_>,
    at: &str,
    request: &ReplayRequest,
) -> Result<ReplayAnswer, Failure> {
    let unavailable = |why: String| {
        let text = format!(
            "no broker answers at {at} ({why}); check that it is running, that --port is the \
             broker's own port (5550 by default, one less than a worker's), and that --host, --ipc \
             and --curve-key are the broker's"
        );
        Failure::new(Exit::Unavailable, text)
    };
    let failed = |error: zmq::Error| unavailable(error.to_string());
    let socket = broker.send(broker.port, request).map_err(failed)?;
    let has_answer = |time: Duration| {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Ok::<_, Failure>(socket.poll(zmq::POLLIN, millis).map_err(failed)? > 0)
    };
    // A running broker answers sooner. libzmq itself does not report a refused connection.
    if !has_answer(SOON)? {
        let listens = connect(at, PATIENCE);
        if let Some(why) = broker.wrong_port() {
            return Err(Failure::new(Exit::Unavailable, why));
        }
        listens.map_err(|error| unavailable(error.to_string()))?;
        if !has_answer(PATIENCE)? {
            let why = "something listens there, but does not answer like a broker's journal port";
            return Err(unavailable(why.to_owned()));
        }
    }
    receive(&socket).ok_or_else(|| strange(at))
}

/// Reads an answer from a socket. `None` if no broker of this version has sent it.
fn receive(socket: &zmq::Socket) -> Option<ReplayAnswer> {
    let frames = socket.recv_multipart(zmq::DONTWAIT).ok()?;
    let [topic, body] = &frames[..] else { return None };
    ReplayAnswer::decode(topic, body).ok()
}

/// Connects to an endpoint and disconnects again.
///
/// # Errors
/// When nothing listens there, or the host is unknown.
fn connect(at: &str, timeout: Duration) -> io::Result<()> {
    if let Some(path) = at.strip_prefix("ipc://") {
        return UnixStream::connect(path).map(drop);
    }
    let address = at.strip_prefix("tcp://").unwrap_or(at);
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn strange(at: &str) -> Failure {
    let text = format!(
        "the answer from {at} is not that of a zibrato-broker of this version; \
                        check --host and --port, or upgrade the older program"
    );
    Failure::new(Exit::Unavailable, text)
}

fn table(cursors: &[CursorState], now_ms: u64) -> String {
    let head = ["NAME", "OFFSET", "BEHIND", "LAG", "GONE", "HEARD", "LEVELS", "READER"];
    let mut rows = vec![head.map(str::to_owned)];
    for cursor in cursors {
        let heard = now_ms.saturating_sub(cursor.heard_ms);
        rows.push([
            cursor.name.clone(),
            cursor.offset.to_string(),
            cursor.behind.to_string(),
            format!("{} s", cursor.lag_ms / 1000),
            cursor.gone.to_string(),
            format!("{} s ago", heard / 1000),
            cursor.levels.join(","),
            if cursor.reader.is_empty() { "-".to_owned() } else { cursor.reader.clone() },
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..head.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<_> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn place(text: &str) -> Result<ResetTo, String> {
    match text {
        "end" => return Ok(ResetTo::End),
        "start" => return Ok(ResetTo::Offset(0)),
        _ => {}
    }
    if let Ok(offset) = text.parse() {
        return Ok(ResetTo::Offset(offset));
    }
    parse_rfc3339(text).map(ResetTo::Time).ok_or_else(|| {
        "expected `end`, `start`, an offset such as 1042, or a UTC time such as \
         2026-11-21T08:00:00Z"
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use zibrato::daemon::rfc3339;

    #[test]
    fn places_are_words_offsets_and_times() {
        assert_eq!(place("end"), Ok(ResetTo::End));
        assert_eq!(place("start"), Ok(ResetTo::Offset(0)));
        assert_eq!(place("1042"), Ok(ResetTo::Offset(1042)));
        for ms in [0, 951_782_400_000, 1_700_000_000_123, 4_107_542_399_999] {
            assert_eq!(place(&rfc3339(ms)), Ok(ResetTo::Time(ms)), "{}", rfc3339(ms));
        }
        assert_eq!(place("2023-11-14T22:13:20Z"), Ok(ResetTo::Time(1_700_000_000_000)));
        for text in
            ["", "yesterday", "-1", "2023-02-30T00:00:00Z", "2023-11-14", "TZ", "1-1-1T1:1:1Z"]
        {
            assert!(place(text).is_err(), "{text}");
        }
    }

    #[test]
    fn cursors_stand_in_columns() {
        let cursor = CursorState {
            name: "zibrato-carbon".to_owned(),
            levels: vec!["info".to_owned(), "warn".to_owned()],
            offset: 1042,
            behind: 3,
            lag_ms: 2_500,
            heard_ms: 9_000,
            gone: 0,
            reader: String::new(),
        };
        let expected = "\
NAME            OFFSET  BEHIND  LAG  GONE  HEARD    LEVELS     READER
zibrato-carbon  1042    3       2 s  0     1 s ago  info,warn  -
";
        assert_eq!(table(&[cursor], 10_000), expected);
    }
}
