//! Protects the broker from peers that misuse libzmq. This needs knowledge of the internals of
//! libzmq and of the kernel.
//!
//! libzmq limits the length of queues and the size of a frame. It does not limit memory or the number of
//! connections. It cannot list its connections. In some situations it aborts the process. This module
//! adds the missing limits. Nothing outside of it calls `zmq_sys` or reads `/proc`.
//!
//! | file | limits | how | cost |
//! |---|---|---|---|
//! | [`memory`] | memory of the process, to `--max-memory` | a thread reads the resident size; from half the limit on it [closes connections](connections) of heavy senders and stalled readers, and if that does not help, all connections | a check every 20 ms (100 ms while little memory is used), and reconnects during an attack |
//! | [`outstanding`] | answers from the journal that readers have not read: 128 MiB in total, and one large answer for each reader | libzmq's callback when it has finished with a frame | an allocation for each answer |
//! | [`reserve`], [`descriptors`], [`accept`] | connections, so that an eighth of the descriptors stays free | a replacement for `accept4`, which also hides from libzmq that a resource is used up | two system calls for each connection |
//! | [`options`] | nothing; options that the `zmq` crate lacks | `zmq_setsockopt` | |
//!
//! Three limits are plain settings, in `bind.rs`: a frame has at most `--max-frame` bytes, a peer
//! must complete the handshake within 5 s, and an endpoint that sends accepts only ZMTP 3. Without
//! the last one, libzmq aborts when a socket is closed while a peer with ZMTP 1 or 2 is about to
//! send its identity (`process_routing_id_msg` asserts that the pipe accepts it).
//!
//! [Decision 16](../../../docs/decisions/0016-memory-limit.md) has measurements without each of
//! these limits.

pub(crate) mod accept;
pub(crate) mod connections;
pub(crate) mod descriptors;
pub(crate) mod memory;
pub(crate) mod options;
pub(crate) mod outstanding;
pub(crate) mod reserve;
