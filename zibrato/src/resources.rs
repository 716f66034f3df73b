//! Checks that the system has room for a ZeroMQ context before libzmq is asked to make one.
//!
//! libzmq aborts the process when it runs out of something that it takes for granted. In 4.3.4:
//!
//! | call | needs | when it is refused |
//! |---|---|---|
//! | `zmq_ctx_new` | 1 descriptor | returns null |
//! | first `zmq_socket` of a context | 4 descriptors: an `epoll` and an `eventfd` for each of two threads | **aborts** if an `epoll` fails or an `eventfd` of the I/O thread; error for that of the reaper |
//! | first `zmq_socket` of a context | 2 threads | **aborts** |
//! | `zmq_socket`, `zmq_socket_monitor` | 1 descriptor | `EMFILE` |
//! | `zmq_connect`, each reconnect | 1 descriptor | tries again later |
//! | accepting on `tcp://` | 1 descriptor | tries again at once, which keeps a core busy |
//! | accepting on `ipc://` | 1 descriptor | **aborts** at `EMFILE`, `ENOMEM` and `ENOBUFS` |
//! | anything | memory | **aborts** |
//! | `epoll_ctl` when a connection is added | kernel memory, `fs.epoll.max_user_watches` | **aborts** |
//!
//! So [`new_context`] takes what a context needs from the system, gives it back, and makes the
//! context right after that. Other threads of the process can take the room in between, which
//! takes microseconds. What a context needs later (memory) is not reserved.

pub(crate) mod threads;

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

/// Descriptors of a context without sockets: three `eventfd` and two `epoll`.
const CONTEXT_DESCRIPTORS: usize = 5;

/// Threads of a context: the reaper and one I/O thread.
const CONTEXT_THREADS: usize = 2;

/// Memory for a context and a few connections. Measured: about 0.3 MiB with two of them.
const CONTEXT_MEMORY: usize = 2 << 20;

/// What is about to be asked of the system.
///
/// ```
/// use zibrato::resources::Resources;
/// Resources::of_context(2).probe()?;
/// # Ok::<(), zibrato::resources::ShortageError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources {
    /// File descriptors. They are probed in pairs.
    pub descriptors: usize,
    /// Threads, with the stacks that the system gives by default.
    pub threads: usize,
    /// Memory, in bytes of address space.
    pub memory: usize,
}

impl Resources {
    /// What a ZeroMQ context with one I/O thread and `sockets` sockets needs, each of which has one
    /// connection or one endpoint that it is bound to.
    #[must_use]
    pub const fn of_context(sockets: usize) -> Self {
        Self {
            descriptors: CONTEXT_DESCRIPTORS + 2 * sockets,
            threads: CONTEXT_THREADS,
            memory: CONTEXT_MEMORY,
        }
    }

    /// Takes all of it from the system at once and gives it back. What is free afterwards can be
    /// taken by somebody else, so ask right before it is needed.
    ///
    /// # Errors
    /// [`ShortageError`] when the system refuses some of it.
    pub fn probe(self) -> Result<(), ShortageError> {
        let shortage = |resource, source| ShortageError { resource, needed: self, source };
        let mut memory = Vec::<u8>::new();
        memory
            .try_reserve_exact(self.memory)
            .map_err(|_| shortage(Resource::Memory, io::ErrorKind::OutOfMemory.into()))?;
        // Not optimised away: it is only asked for.
        std::hint::black_box(&mut memory);
        let _descriptors =
            take_descriptors(self.descriptors).map_err(|e| shortage(Resource::Descriptors, e))?;
        threads::probe(self.threads).map_err(|e| shortage(Resource::Threads, e))
    }
}

/// Opens so many descriptors. Pipes need neither a file system nor sockets, which a sandbox may
/// forbid.
fn take_descriptors(count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let (reader, writer) = io::pipe()?;
        taken.extend([OwnedFd::from(reader), OwnedFd::from(writer)]);
    }
    Ok(taken)
}

/// Makes a ZeroMQ context with one I/O thread, and has libzmq begin its threads, if there is room
/// for it and for `sockets` sockets with a connection each.
///
/// # Errors
/// [`ShortageError`] when there is not. libzmq is not asked then, and nothing is left behind.
pub fn new_context(sockets: usize) -> Result<zmq::Context, ShortageError> {
    let needed = Resources::of_context(sockets.max(1));
    needed.probe()?;
    let context = zmq::Context::new();
    // libzmq takes all that it aborts for with the first socket.
    match context.socket(zmq::PAIR) {
        Ok(_) => Ok(context),
        Err(refused) => {
            let (resource, source) = (Resource::Descriptors, refused.into());
            Err(ShortageError { resource, needed, source })
        }
    }
}

/// What there is too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// File descriptors: `ulimit -n`, or all of the machine's are in use.
    Descriptors,
    /// Memory or address space: `ulimit -v`.
    Memory,
    /// Threads: `ulimit -u`, or the `pids.max` of a control group.
    Threads,
}

/// The system has too little of something.
#[derive(Debug)]
pub struct ShortageError {
    /// What there is too little of.
    pub resource: Resource,
    /// All that was asked for.
    pub needed: Resources,
    /// What the system said.
    pub source: io::Error,
}

impl fmt::Display for ShortageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resources { descriptors, threads, memory } = self.needed;
        match self.resource {
            Resource::Descriptors => {
                write!(
                    f,
                    "too few file descriptors: {descriptors} are needed besides those that are open \
                     (ulimit -n)"
                )
            }
            Resource::Memory => {
                let mib = memory.div_ceil(1 << 20);
                write!(f, "too little memory: {mib} MiB more are needed (ulimit -v)")
            }
            Resource::Threads => {
                let limits = "ulimit -u, pids.max, or ulimit -v, for their stacks";
                write!(f, "too few threads: {threads} more are needed ({limits})")
            }
        }
    }
}

impl std::error::Error for ShortageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests;
