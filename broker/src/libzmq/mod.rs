//! Protects the broker from peers that misuse libzmq, with knowledge of the inside of libzmq and of the
//! kernel.
//!
//! libzmq limits the length of queues and the size of a frame. It does not limit memory or the number of
//! connections. It cannot list its connections. In some situations it aborts the process. This module
//! adds the missing limits. Nothing outside of it calls `zmq_sys` or reads `/proc`.
//!
//! | file | bounds | means | costs |
//! |---|---|---|---|
//! | [`memory`] | memory of the process, by `--max-memory` | a thread reads the resident size; from half the limit on it [closes connections](connections) of heavy senders and stalled readers, and if that does not help, all | a look every 20 ms (100 ms while there is little), and reconnects during an attack |
//! | [`outstanding`] | answers from the journal that readers have not taken: 128 MiB in all, one large answer each | libzmq's own callback when it is done with a frame | an allocation for each answer |
//! | [`descriptors`], [`accept`] | connections, so that an eighth of the descriptors stays free | a replacement for `accept4`, which also hides from libzmq that something is used up | two system calls for each connection |
//! | [`options`] | nothing; options that the `zmq` crate lacks | `zmq_setsockopt` | |
//!
//! Three limits are plain settings, in `bind.rs`: a frame has at most `--max-frame` bytes, a peer has
//! 5 s for its handshake, and an endpoint that sends accepts ZMTP 3 only. Without the last libzmq aborts
//! when a socket is closed while a peer of ZMTP 1 or 2 is about to send its identity
//! (`process_routing_id_msg` asserts that the pipe takes it).
//!
//! [Decision 16](../../../docs/decisions/0016-memory-limit.md) has what was measured without each of
//! these.

pub(crate) mod accept;
pub(crate) mod connections;
pub(crate) mod descriptors;
pub(crate) mod memory;
pub(crate) mod options;
pub(crate) mod outstanding;
