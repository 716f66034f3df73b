//! A fake Carbon that keeps the last value of each name and time.

use crate::Failure;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A fake Carbon. While it is down, it accepts connections and closes them immediately.
#[derive(Debug, Clone)]
pub struct Carbon {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    points: Mutex<HashMap<String, HashMap<u64, f64>>>,
    connections: Mutex<Vec<TcpStream>>,
    lines: AtomicU64,
    is_away: AtomicBool,
}

impl Carbon {
    /// Keeps the points whose names have this prefix, and counts all others.
    pub fn start(prefix: &'static str) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::<Shared>::default();
        let all = Arc::clone(&shared);
        // Ends with the benchmark.
        thread::Builder::new().name("carbon".to_owned()).spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if all.is_away.load(Ordering::Acquire) {
                    continue;
                }
                if let Ok(other) = stream.try_clone() {
                    lock(&all.connections).push(other);
                }
                let shared = Arc::clone(&all);
                let read = move || shared.read(stream, prefix);
                drop(thread::Builder::new().name("carbon-line".to_owned()).spawn(read));
            }
        })?;
        Ok(Self { port, shared })
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Stops or starts accepting data.
    pub fn set_away(&self, away: bool) {
        self.shared.is_away.store(away, Ordering::Release);
        if away {
            for stream in lock(&self.shared.connections).drain(..) {
                stream.shutdown(Shutdown::Both).ok();
            }
        }
    }

    /// The sum over all times of all names with this prefix.
    pub fn sum(&self, prefix: &str) -> f64 {
        let points = lock(&self.shared.points);
        let names = points.iter().filter(|(name, _)| name.starts_with(prefix));
        names.flat_map(|(_, times)| times.values()).sum()
    }

    /// The number of names with this prefix, and the number of their points.
    pub fn points(&self, prefix: &str) -> (usize, usize) {
        let points = lock(&self.shared.points);
        let names = points.iter().filter(|(name, _)| name.starts_with(prefix));
        names.fold((0, 0), |(names, all), (_, times)| (names + 1, all + times.len()))
    }

    /// Number of lines so far, with any name.
    pub fn lines(&self) -> u64 {
        self.shared.lines.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn read(&self, stream: TcpStream, prefix: &str) {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            self.lines.fetch_add(1, Ordering::Relaxed);
            let mut words = line.split(' ');
            let Some(name) = words.next().filter(|name| name.starts_with(prefix)) else { continue };
            let value = words.next().and_then(|word| word.parse().ok());
            let time = words.next().and_then(|word| word.parse().ok());
            if let (Some(value), Some(time)) = (value, time) {
                let mut points = lock(&self.points);
                match points.get_mut(name) {
                    Some(times) => drop(times.insert(time, value)),
                    None => drop(points.insert(name.to_owned(), HashMap::from([(time, value)]))),
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
