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

/// Address space of a program and its libraries, and of the little that it allocates at its start.
const PROGRAM: u64 = 64 << 20;

/// Address space of a thread: its stack, as large as the system makes it by default, and the arena
/// that the allocator of glibc reserves for it on 64-bit machines.
const THREAD: u64 = (8 + 64) << 20;

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
    /// The least limit on the address space of the whole process, in bytes. It is compared with
    /// `ulimit -v`, and not taken. 0 is no least limit.
    pub address_space: u64,
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
            address_space: 0,
        }
    }

    /// The address space of a program with so many threads and so many bytes of data, for
    /// [`address_space`](Self::address_space). Arenas of threads take most of it, and little of them
    /// is ever in use; but when they have taken all that `ulimit -v` allows, the next large message
    /// finds no room, and libzmq aborts.
    #[must_use]
    pub const fn address_space_of(threads: usize, data: u64) -> u64 {
        PROGRAM.saturating_add((threads as u64).saturating_mul(THREAD)).saturating_add(data)
    }

    /// Takes all of it from the system at once and gives it back. What is free afterwards can be
    /// taken by somebody else, so ask right before it is needed.
    ///
    /// # Errors
    /// [`ShortageError`] when the system refuses some of it.
    pub fn probe(self) -> Result<(), ShortageError> {
        let shortage = |resource, source| ShortageError { resource, needed: self, source };
        let limit = address_space_limit();
        if limit < self.address_space {
            let resource = Resource::AddressSpace { limit };
            return Err(shortage(resource, io::ErrorKind::OutOfMemory.into()));
        }
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

/// How many bytes of address space the process may have. Without a limit, or where the system does
/// not say, it is the largest number.
#[expect(unsafe_code, reason = "getrlimit is a function of the C library")]
fn address_space_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: it writes one structure, or nothing.
    unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) };
    if limit.rlim_cur == libc::RLIM_INFINITY { u64::MAX } else { limit.rlim_cur }
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
    /// Address space: `ulimit -v` allows less than the process needs in all.
    AddressSpace {
        /// How many bytes it allows.
        limit: u64,
    },
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
        let Resources { descriptors, threads, memory, address_space } = self.needed;
        match self.resource {
            Resource::AddressSpace { limit } => {
                let (needed, limit) = (address_space.div_ceil(1 << 20), limit >> 20);
                write!(
                    f,
                    "too little memory: {needed} MiB of address space are needed, and ulimit -v \
                     allows {limit} MiB"
                )
            }
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
        match self.resource {
            // Nothing was asked of the system: the limit says it all.
            Resource::AddressSpace { .. } => None,
            Resource::Descriptors | Resource::Memory | Resource::Threads => Some(&self.source),
        }
    }
}

#[cfg(test)]
mod tests;
