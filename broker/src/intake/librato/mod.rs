//! The Librato intake: the HTTP API of Librato and AppOptics, for programs that were left behind when
//! these services ended.
//!
//! ```text
//! connections ─▶ zb-librato-http: HTTP, users ─▶ zb-librato: decode, check, fold ─▶ broker
//!                 ◀──────────────────────────── answers, once the broker has it on disk
//! ```

mod access;
mod annotation;
mod answer;
mod api;
mod batches;
mod bodies;
mod checked;
mod collectd;
mod faults;
mod flags;
mod form;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod guesses;
mod http;
mod job;
mod lenient;
mod memory;
mod names;
mod payload;
mod plain;
mod repeats;
mod scalar;
mod seen;
mod serve;
mod tally;
mod totals;
mod users;
mod value_lists;

pub(crate) use flags::LibratoFlags;

use super::flag_error::{Collected, FlagError};
use super::host_port::HostPort;
use super::{Intake, IntakeError, OpenIntake, Unprotected};
use access::Access;
use api::Api;
use http::{Admission, Server};
use memory::Memory;
use serve::Service;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use tally::Tally;
use zibrato::Level;
use zibrato::daemon::{NotifyOnDrop, Stop, Waker};

/// The flag of addresses.
const FLAG: &str = "--librato";

/// Maximum number of requests that wait to be read.
const MAX_JOBS: usize = 1_024;

/// Maximum wait for the end of the other thread.
const END: Duration = Duration::from_secs(1);

/// The intake.
#[derive(Debug)]
struct Librato {
    listen: Vec<HostPort>,
    access: Access,
    level: Level,
    /// In seconds.
    max_age: u64,
}

fn bind(address: &HostPort, access: &Access) -> Result<TcpListener, FlagError> {
    let at = address.resolve(FLAG)?;
    if matches!(access, Access::Open) && !at.ip().is_loopback() {
        let why = "--librato-open accepts everybody, so it works only on loopback addresses such \
                   as 127.0.0.1; give --librato-users instead";
        return Err(FlagError::invalid(FLAG, address, why));
    }
    TcpListener::bind(at).map_err(|error| FlagError::of_bind(FLAG, address, at, &error))
}

impl Intake for Librato {
    fn name(&self) -> &'static str {
        "librato"
    }

    fn levels(&self) -> Vec<String> {
        vec![self.level.as_str().to_owned()]
    }

    fn unprotected(&self) -> Vec<Unprotected> {
        // An exposed address is an error of --librato-open, which says more.
        if matches!(self.access, Access::Open) {
            return Vec::new();
        }
        let protection = "put a proxy with TLS in front";
        let exposed = |address| {
            let can = "read the tokens that clients send";
            Unprotected::new(FLAG, address).or(protection).for_those_who(can)
        };
        self.listen.iter().map(exposed).collect()
    }

    fn warnings(&self) -> Vec<String> {
        Admission::examine(&self.access)
    }

    fn open(&self) -> Result<OpenIntake, IntakeError> {
        let mut errors = Collected::default();
        let admission = errors.take(Admission::open(&self.access));
        let listeners: Vec<_> = self
            .listen
            .iter()
            .filter_map(|address| errors.take(bind(address, &self.access)))
            .collect();
        errors.finish()?;
        // Without an error there is one.
        let admission = admission.ok_or("the users are not known")?;
        let bound = listeners.iter().map(|listener| Ok(listener.local_addr()?.to_string()));
        let bound = bound.collect::<io::Result<Vec<_>>>()?.join(",");
        let (level, max_age) = (self.level.as_str().to_owned(), self.max_age);
        Ok(OpenIntake::new(bound, move |context| {
            let waker = Arc::new(Waker::new()?);
            let tally = Arc::new(Tally::new(Arc::clone(&waker)));
            let memory = Memory::default();
            let (sender, jobs) = sync_channel(MAX_JOBS);
            let (stop, ended) = (context.stop().clone(), Stop::new()?);
            let server = Server {
                listeners,
                admission,
                jobs: sender,
                waker: Arc::clone(&waker),
                tally: Arc::clone(&tally),
                memory: memory.clone(),
                stop,
            };
            let last_word = NotifyOnDrop::new(ended.clone());
            let name = "zb-librato-http".to_owned();
            let thread = std::thread::Builder::new().name(name).spawn(move || {
                let _last_word = last_word;
                server.run()
            })?;
            let service = Service { jobs: &jobs, tally: &tally, memory: &memory };
            serve::run(context, Api::new(level, max_age), &service, (&waker, &ended));
            drop(jobs);
            if !ended.wait(END) {
                return Err("zb-librato-http does not end".into());
            }
            match thread.join() {
                Ok(result) => Ok(result?),
                Err(_) => Err("zb-librato-http panicked".into()),
            }
        }))
    }
}
