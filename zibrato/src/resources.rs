//! Checks that the system has the resources for a ZeroMQ context before libzmq creates one.
//!
//! libzmq aborts the process if a resource is missing that it expects to get. In 4.3.4:
//!
//! | call | needs | on failure |
//! |---|---|---|
//! | `zmq_ctx_new` | 1 descriptor | returns null |
//! | first `zmq_socket` of a context | 4 descriptors: an `epoll` and an `eventfd` for each of two threads | **aborts** if an `epoll` fails or an `eventfd` of the I/O thread; returns an error if that of the reaper fails |
//! | first `zmq_socket` of a context | 2 threads | **aborts** |
//! | `zmq_socket`, `zmq_socket_monitor` | 1 descriptor | `EMFILE` |
//! | `zmq_connect`, each reconnect | 1 descriptor | tries again later |
//! | accepting on `tcp://` | 1 descriptor | tries again at once, in a busy loop |
//! | accepting on `ipc://` | 1 descriptor | **aborts** at `EMFILE`, `ENOMEM` and `ENOBUFS` |
//! | anything | memory | **aborts** |
//! | `epoll_ctl` when a connection is added | kernel memory, `fs.epoll.max_user_watches` | **aborts** |
//!
//! So [`new_context`] allocates what a context needs, frees it, and creates the context immediately
//! afterwards. In between, for some microseconds, other threads of the process can take these
//! resources. Memory that a context needs later is not reserved.

pub(crate) mod threads;

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

/// Descriptors of a context without sockets: three `eventfd` and two `epoll`.
const CONTEXT_DESCRIPTORS: usize = 5;

/// Threads of a context: the reaper and one I/O thread.
const CONTEXT_THREADS: usize = 2;

/// Address space of a program, its libraries, and its allocations at start.
const PROGRAM: u64 = 64 << 20;

/// Address space of a thread: a stack of the default size, and the arena that glibc's allocator
/// reserves for it on 64-bit machines.
const THREAD: u64 = (8 + 64) << 20;

/// Memory for a context and a few connections. Measured: about 0.3 MiB with two of them.
const CONTEXT_MEMORY: usize = 2 << 20;

/// Resources that the process is about to need.
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
    /// Threads, with stacks of the default size.
    pub threads: usize,
    /// Memory, in bytes of address space.
    pub memory: usize,
    /// Minimum limit on the address space of the whole process, in bytes. It is only compared with
    /// `ulimit -v`. 0 means no minimum.
    pub address_space: u64,
}

impl Resources {
    /// The resources of a ZeroMQ context with one I/O thread and `sockets` sockets, each with one
    /// connection or one bound endpoint.
    #[must_use]
    pub const fn of_context(sockets: usize) -> Self {
        Self {
            descriptors: CONTEXT_DESCRIPTORS + 2 * sockets,
            threads: CONTEXT_THREADS,
            memory: CONTEXT_MEMORY,
            address_space: 0,
        }
    }

    /// The address space of a program with this many threads and bytes of data, for
    /// [`address_space`](Self::address_space). Arenas of threads take most of it, although little
    /// of them is ever used. Once they have taken all that `ulimit -v` allows, the next large
    /// message cannot be allocated, and libzmq aborts.
    #[must_use]
    pub const fn address_space_of(threads: usize, data: u64) -> u64 {
        PROGRAM.saturating_add((threads as u64).saturating_mul(THREAD)).saturating_add(data)
    }

    /// The resources of `count` users, each of which needs these.
    #[must_use]
    pub const fn times(self, count: usize) -> Self {
        Self {
            descriptors: self.descriptors.saturating_mul(count),
            threads: self.threads.saturating_mul(count),
            memory: self.memory.saturating_mul(count),
            address_space: self.address_space.saturating_mul(count as u64),
        }
    }

    /// Allocates all of them at once and frees them. Other threads and processes can take them
    /// afterwards, so call this immediately before you need them.
    ///
    /// # Errors
    /// [`ShortageError`] if the system refuses one of them.
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
        // Keeps the compiler from removing the allocation.
        std::hint::black_box(&mut memory);
        let _descriptors =
            take_descriptors(self.descriptors).map_err(|e| shortage(Resource::Descriptors, e))?;
        threads::probe(self.threads).map_err(|e| shortage(Resource::Threads, e))
    }
}

/// The limit on the address space of the process, in bytes. `u64::MAX` if there is no limit, or if
/// the system does not report it.
#[expect(unsafe_code, reason = "getrlimit is a function of the C library")]
fn address_space_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: it writes one structure, or nothing.
    unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) };
    if limit.rlim_cur == libc::RLIM_INFINITY { u64::MAX } else { limit.rlim_cur }
}

/// Opens `count` descriptors. Pipes need neither a file system nor sockets, which a sandbox may
/// forbid.
fn take_descriptors(count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let (reader, writer) = io::pipe()?;
        taken.extend([OwnedFd::from(reader), OwnedFd::from(writer)]);
    }
    Ok(taken)
}

/// Creates a ZeroMQ context with one I/O thread and starts libzmq's threads, if there are enough
/// resources for it and for `sockets` sockets with one connection each.
///
/// # Errors
/// [`ShortageError`] if there are not. Then libzmq is not called, and nothing is left allocated.
pub fn new_context(sockets: usize) -> Result<zmq::Context, ShortageError> {
    let needed = Resources::of_context(sockets.max(1));
    needed.probe()?;
    let context = zmq::Context::new();
    // The first socket makes libzmq allocate everything for whose lack it aborts.
    match context.socket(zmq::PAIR) {
        Ok(_) => Ok(context),
        Err(refused) => {
            let (resource, source) = (Resource::Descriptors, refused.into());
            Err(ShortageError { resource, needed, source })
        }
    }
}

/// The resource that is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// Address space: `ulimit -v` allows less than the process needs in total.
    AddressSpace {
        /// The limit, in bytes.
        limit: u64,
    },
    /// File descriptors: `ulimit -n`, or the limit of the whole machine.
    Descriptors,
    /// Memory or address space: `ulimit -v`.
    Memory,
    /// Threads: `ulimit -u`, or the `pids.max` of a control group.
    Threads,
}

/// A resource of the system is short.
#[derive(Debug)]
pub struct ShortageError {
    /// The resource that is short.
    pub resource: Resource,
    /// All resources that were requested.
    pub needed: Resources,
    /// The error of the system.
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
            // No system call failed: the limit is too low.
            Resource::AddressSpace { .. } => None,
            Resource::Descriptors | Resource::Memory | Resource::Threads => Some(&self.source),
        }
    }
}

#[cfg(test)]
mod tests;
