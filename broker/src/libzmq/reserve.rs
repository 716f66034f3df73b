//! How many of the process's file descriptors are reserved for the journal and the pages.

use rustix::process::{Resource, getrlimit};
use std::os::fd::RawFd;

/// The limit divided by this is the number of reserved descriptors.
const SHARE: RawFd = 8;

/// Minimum number of free descriptors, which the journal and the pages need.
pub(crate) const FEWEST: RawFd = 32;

/// Maximum number of descriptors that are kept free.
const MOST: RawFd = 1_024;

/// The number of descriptors that are kept free under a limit.
pub(super) fn kept_free(limit: RawFd) -> RawFd {
    (limit / SHARE).clamp(FEWEST, MOST).min(limit)
}

/// Whether this descriptor is reserved, so that no connection may use it.
pub(crate) fn is_reserved(descriptor: RawFd) -> bool {
    let limit = limit();
    descriptor >= limit - kept_free(limit)
}

/// Maximum number of descriptors of the process.
pub(crate) fn limit() -> RawFd {
    let limit = getrlimit(Resource::Nofile).current;
    limit.and_then(|limit| RawFd::try_from(limit).ok()).unwrap_or(RawFd::MAX)
}

#[cfg(test)]
mod tests {
    use super::{is_reserved, kept_free, limit};

    #[test]
    fn one_of_eight_is_kept_free_within_bounds() {
        assert_eq!([1_024, 64, 10, 1 << 20, i32::MAX].map(kept_free), [128, 32, 10, 1_024, 1_024]);
        let limit = limit();
        assert_eq!([limit - 1, limit - kept_free(limit), 3].map(is_reserved), [true, true, false]);
    }
}
