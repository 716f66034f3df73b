//! The thread `zb-zap`, which libzmq asks about the key of each new connection (ZAP, RFC 27).

use super::key_store::KeyStore;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use zibrato::curve::PublicKey;
use zibrato::daemon::{LogLimit, NotifyOnDrop, Stop};
use zmq::DONTWAIT;

/// The endpoint to which libzmq sends its requests, in each context.
const ENDPOINT: &str = "inproc://zeromq.zap.01";

/// The version of ZAP.
const VERSION: &[u8] = b"1.0";

/// Number of frames of a request about a key.
const FRAMES: usize = 7;

/// Maximum time for the thread to end. It waits for the stop token and for requests together, so
/// it ends almost immediately.
const DEADLINE: Duration = Duration::from_secs(2);

/// Time between two attempts to open a socket after one has failed.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// The running thread. Dropping this ends it. While it does not run, no new client can connect.
#[derive(Debug)]
pub(crate) struct ZapThread {
    stop: Stop,
    ended: Stop,
    handle: Option<JoinHandle<()>>,
}

/// The reason why the thread did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartZapError {
    #[error("cannot create a ZeroMQ socket: {0}")]
    Socket(#[from] zmq::Error),
    #[error("no more file descriptors or threads are available: {0}")]
    System(#[from] std::io::Error),
}

impl ZapThread {
    /// Starts the thread. It answers the requests of all sockets of this context.
    pub(crate) fn start(
        context: &zmq::Context,
        key_store: Arc<KeyStore>,
    ) -> Result<Self, StartZapError> {
        let socket = open(context)?;
        let (stop, ended) = (Stop::new()?, Stop::new()?);
        let context = context.clone();
        let (ask, last_word) = (stop.clone(), NotifyOnDrop::new(ended.clone()));
        let handle = std::thread::Builder::new().name("zb-zap".to_owned()).spawn(move || {
            let _last_word = last_word;
            run(&context, socket, &key_store, &ask);
        })?;
        Ok(Self { stop, ended, handle: Some(handle) })
    }
}

impl Drop for ZapThread {
    fn drop(&mut self) {
        self.stop.raise();
        if let Some(handle) = self.handle.take().filter(|_| self.ended.wait(DEADLINE))
            && handle.join().is_err()
        {
            tracing::error!(event = "thread_panicked", thread = "zb-zap");
        }
    }
}

fn open(context: &zmq::Context) -> zmq::Result<zmq::Socket> {
    let socket = context.socket(zmq::REP)?;
    socket.set_linger(0)?;
    socket.bind(ENDPOINT)?;
    Ok(socket)
}

/// Answers requests until it has to stop. If a socket fails, it opens another one.
fn run(context: &zmq::Context, mut socket: zmq::Socket, key_store: &KeyStore, stop: &Stop) {
    let mut told = LogLimit::<60>::default();
    while let Err(error) = serve(&socket, key_store, stop) {
        if told.admits() {
            let why = "no new client can connect until libzmq provides another socket";
            tracing::error!(event = "zap_failed", %error, why);
        }
        drop(socket);
        socket = loop {
            if stop.wait(TRY_AGAIN) {
                return;
            }
            match open(context) {
                Ok(socket) => break socket,
                Err(error) => tracing::debug!(event = "zap_failed", %error),
            }
        };
    }
}

fn serve(socket: &zmq::Socket, key_store: &KeyStore, stop: &Stop) -> zmq::Result<()> {
    loop {
        let mut items = [
            zmq::PollItem::from_fd(stop.as_raw_fd(), zmq::POLLIN),
            socket.as_poll_item(zmq::POLLIN),
        ];
        match zmq::poll(&mut items, -1) {
            Ok(_) | Err(zmq::Error::EINTR) => {}
            Err(error) => return Err(error),
        }
        if stop.raised() {
            return Ok(());
        }
        let question = match socket.recv_multipart(DONTWAIT) {
            Ok(question) => question,
            Err(zmq::Error::EAGAIN | zmq::Error::EINTR) => continue,
            Err(error) => return Err(error),
        };
        match socket.send_multipart(answer(&question, key_store), DONTWAIT) {
            // The connection that the request was about may have ended.
            Ok(()) | Err(zmq::Error::EAGAIN | zmq::Error::EHOSTUNREACH) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The answer to a request: version, request id, status code, status text, the key as user id, and
/// no metadata.
fn answer(question: &[Vec<u8>], key_store: &KeyStore) -> [Vec<u8>; 6] {
    let number = question.get(1).cloned().unwrap_or_default();
    let (code, text, who) = match judge(question, key_store) {
        Some((key, true)) => ("200", "welcome", key),
        Some((_, false)) => ("400", "this key is not allowed", String::new()),
        None => ("500", "not understood", String::new()),
    };
    let texts = [code, text, &*who].map(|text| text.as_bytes().to_vec());
    let [code, text, who] = texts;
    [VERSION.to_vec(), number, code, text, who, Vec::new()]
}

/// The key in a request, and whether it is allowed. `None` if the request is malformed.
fn judge(question: &[Vec<u8>], key_store: &KeyStore) -> Option<(String, bool)> {
    let question: &[Vec<u8>; FRAMES] = question.try_into().ok()?;
    let [version, _number, _domain, address, _identity, mechanism, key] = question;
    if version != VERSION || mechanism != b"CURVE" {
        return None;
    }
    let key = PublicKey::new(key.as_slice().try_into().ok()?).to_string();
    let admitted = key_store.judge(&key, &String::from_utf8_lossy(address)).is_ok();
    Some((key, admitted))
}

#[cfg(test)]
mod tests {
    use super::{KeyStore, ZapThread, answer};
    use std::sync::Arc;
    use zibrato::curve::{PublicKey, SecretKey};

    fn key_store(allowed: &PublicKey) -> KeyStore {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), allowed.to_string()).unwrap();
        KeyStore::open(SecretKey::generate().unwrap(), file.path().to_owned()).unwrap()
    }

    #[test]
    fn only_a_question_about_an_allowed_key_is_answered_with_yes() {
        let (key, other) = (PublicKey::new([1; 32]), PublicKey::new([2; 32]));
        let key_store = key_store(&key);
        let ask = |frames: &[&[u8]]| {
            let frames: Vec<_> = frames.iter().map(|frame| frame.to_vec()).collect();
            let [version, number, code, _, who, metadata] = answer(&frames, &key_store);
            assert_eq!((&*version, &*metadata), (&b"1.0"[..], &b""[..]));
            assert_eq!(number, frames.get(1).cloned().unwrap_or_default());
            (String::from_utf8(code).unwrap(), String::from_utf8(who).unwrap())
        };
        let about = |key: &PublicKey, mechanism: &[u8]| {
            ask(&[b"1.0", b"7", b"zibrato", b"127.0.0.1", b"", mechanism, key.as_bytes()])
        };
        assert_eq!(about(&key, b"CURVE"), ("200".to_owned(), key.to_string()));
        let no = |code: &str| (code.to_owned(), String::new());
        assert_eq!(about(&other, b"CURVE"), no("400"));
        for mechanism in [&b"NULL"[..], b"PLAIN", b"", b"curve"] {
            assert_eq!(about(&key, mechanism), no("500"));
        }
        for frames in [
            &[][..],
            &[&b"1.0"[..]],
            &[b"1.0", &b"1"[..]],
            &[b"2.0", &b"1"[..], b"", b"", b"", b"CURVE", key.as_bytes()],
            &[b"1.0", &b"1"[..], b"", b"", b"", b"CURVE", b"short"],
            &[b"1.0", &b"1"[..], b"", b"", b"", b"CURVE", key.as_bytes(), b""],
        ] {
            assert_eq!(ask(frames), no("500"));
        }
    }

    #[test]
    fn questions_are_answered_until_it_is_dropped_and_nonsense_does_not_end_it() {
        let context = zmq::Context::new();
        let key = PublicKey::new([1; 32]);
        let zap = ZapThread::start(&context, Arc::new(key_store(&key))).unwrap();
        let asker = context.socket(zmq::REQ).unwrap();
        asker.set_rcvtimeo(10_000).unwrap();
        asker.connect(super::ENDPOINT).unwrap();
        for frames in [&[&b""[..]][..], &[b"x", b"y"], &[b"1.0", b"1", b"", b"", b"", b"CURVE"]] {
            asker.send_multipart(frames, 0).unwrap();
            assert_eq!(asker.recv_multipart(0).unwrap()[2], b"500");
        }
        let question = [b"1.0", &b"1"[..], b"", b"", b"", b"CURVE", key.as_bytes()];
        asker.send_multipart(question, 0).unwrap();
        assert_eq!(asker.recv_multipart(0).unwrap()[2], b"200");
        drop(zap);
        let (again, begun) = (context.socket(zmq::REP).unwrap(), std::time::Instant::now());
        // libzmq closes sockets in a thread of its own.
        while again.bind(super::ENDPOINT).is_err() {
            assert!(begun.elapsed() < super::DEADLINE);
            std::thread::yield_now();
        }
    }
}
