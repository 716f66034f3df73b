//! `zibrato-broker cursors`: lists, moves and deletes the cursors of a running broker.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use zibrato::clock;
use zibrato::daemon::{Exit, Failure, parse_rfc3339, print};
use zibrato::wire::{CursorState, Named, ReplayAnswer, ReplayRequest, Reset, ResetTo};

/// Timeout of the broker's answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time without an answer after which it is checked whether anything listens.
const SOON: Duration = Duration::from_millis(200);

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

/// List, set and delete the cursors (reading positions) of a running broker
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
    /// Move a cursor. Stop its reader first
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
    /// Delete a cursor, so that its levels are no longer kept for it. Stop its reader first
    #[command(after_help = "\
Examples:
  zibrato-broker cursors delete zibrato-librato
  zibrato-broker cursors delete zibrato-librato --port 6000")]
    Delete {
        /// Name of the cursor: the --name of a worker
        name: String,
    },
}

/// Sends the request to the broker at an endpoint.
pub(crate) fn run(command: &CursorsCommand, socket: &zmq::Socket, at: &str) -> Result<(), Failure> {
    let request = match &command.what {
        What::List => ReplayRequest::Cursors,
        What::Reset { name, to } => ReplayRequest::Reset(Reset { name: name.clone(), to: *to }),
        What::Delete { name } => ReplayRequest::Delete(Named { name: name.clone() }),
    };
    let said = match ask(socket, at, &request)? {
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

fn ask(socket: &zmq::Socket, at: &str, request: &ReplayRequest) -> Result<ReplayAnswer, Failure> {
    let unavailable = |why: String| {
        let text = format!(
            "no broker answers at {at} ({why}); check that it is running, that --port is the \
             broker's own port (5550 by default, one less than a worker's), and that --host, --ipc \
             and --curve-key are the broker's"
        );
        Failure::new(Exit::Unavailable, text)
    };
    let failed = |error: zmq::Error| unavailable(error.to_string());
    socket.set_linger(0).map_err(failed)?;
    socket.connect(at).map_err(failed)?;
    socket.send_multipart(request.encode(), 0).map_err(failed)?;
    let has_answer = |time: Duration| {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Ok::<_, Failure>(socket.poll(zmq::POLLIN, millis).map_err(failed)? > 0)
    };
    // A running broker answers sooner. libzmq itself does not report a refused connection.
    if !has_answer(SOON)? {
        connect(at).map_err(|error| unavailable(error.to_string()))?;
        if !has_answer(PATIENCE)? {
            let why = "something listens there, but does not answer like a broker's replay port";
            return Err(unavailable(why.to_owned()));
        }
    }
    let frames = socket.recv_multipart(0).map_err(failed)?;
    let [topic, body] = &frames[..] else { return Err(strange(at)) };
    ReplayAnswer::decode(topic, body).map_err(|_| strange(at))
}

/// Connects to an endpoint and disconnects again.
///
/// # Errors
/// When nothing listens there, or the host is unknown.
fn connect(at: &str) -> io::Result<()> {
    if let Some(path) = at.strip_prefix("ipc://") {
        return UnixStream::connect(path).map(drop);
    }
    let address = at.strip_prefix("tcp://").unwrap_or(at);
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
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
