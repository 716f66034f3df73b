//! Spares the kernel calls that the client makes for each request on a connection that was just used.
//!
//! The client checks twice whether a connection is open: when the answer was read, and before the next
//! request. Each check is three calls. It also sets the timeouts of the socket anew when the time that is
//! left has changed, which it always has.

use std::time::{Duration, Instant};
use ureq::Error;
use ureq::unversioned::transport::time::Duration as Timeout;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// For so long after a check, a connection is taken for open. If the server closes it meanwhile, the
/// request fails, as it does when the server closes it after a check.
const JUST_CHECKED: Duration = Duration::from_millis(50);

/// Wraps each connection in a [`FewerCalls`].
#[derive(Debug)]
pub(super) struct FewerCallsConnector;

impl<In: Transport> Connector<In> for FewerCallsConnector {
    type Out = FewerCalls<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| FewerCalls { inner, open_at: None }))
    }
}

/// A connection that is not checked twice between two requests that follow each other.
#[derive(Debug)]
pub(super) struct FewerCalls<T> {
    inner: T,
    /// When it was found open, if it was not used since.
    open_at: Option<Instant>,
}

impl<T: Transport> Transport for FewerCalls<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.open_at = None;
        self.inner.transmit_output(amount, in_seconds(timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.open_at = None;
        self.inner.await_input(in_seconds(timeout))
    }

    fn is_open(&mut self) -> bool {
        let now = Instant::now();
        if self.open_at.is_some_and(|at| now.saturating_duration_since(at) < JUST_CHECKED) {
            return true;
        }
        let is_open = self.inner.is_open();
        self.open_at = is_open.then_some(now);
        is_open
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// The timeout in whole seconds, rounded up, so that it is seldom another one than that of the last
/// request. A timeout below two seconds is left as it is.
fn in_seconds(mut timeout: NextTimeout) -> NextTimeout {
    if let Timeout::Exact(after) = timeout.after
        && after > Duration::from_secs(2)
        && after.subsec_nanos() > 0
    {
        timeout.after = Timeout::from_secs(after.as_secs() + 1);
    }
    timeout
}

#[cfg(test)]
mod tests {
    use super::{FewerCalls, JUST_CHECKED, in_seconds};
    use std::time::Duration;
    use ureq::Error;
    use ureq::unversioned::transport::time::Duration as Timeout;
    use ureq::unversioned::transport::{Buffers, LazyBuffers, NextTimeout, Transport};

    #[derive(Debug)]
    struct Recorder {
        buffers: LazyBuffers,
        is_open: bool,
        checks: u32,
    }

    impl Transport for Recorder {
        fn buffers(&mut self) -> &mut dyn Buffers {
            &mut self.buffers
        }

        fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), Error> {
            Ok(())
        }

        fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
            Ok(true)
        }

        fn is_open(&mut self) -> bool {
            self.checks += 1;
            self.is_open
        }
    }

    #[test]
    fn a_connection_is_checked_once_between_requests_and_again_later() {
        let inner = Recorder { buffers: LazyBuffers::new(10, 10), is_open: true, checks: 0 };
        let mut connection = FewerCalls { inner, open_at: None };
        assert!(connection.is_open() && connection.is_open());
        assert_eq!(connection.inner.checks, 1);
        connection.open_at = connection.open_at.map(|at| at - JUST_CHECKED);
        assert!(connection.is_open());
        assert_eq!(connection.inner.checks, 2);
        // What follows a request is always checked.
        connection.transmit_output(0, NextTimeout::default()).unwrap();
        connection.inner.is_open = false;
        assert!(!connection.is_open() && !connection.is_open());
        assert_eq!(connection.inner.checks, 4);
    }

    #[test]
    fn a_timeout_is_rounded_up_unless_it_is_short() {
        for (given, rounded) in [
            (9_999, 10_000),
            (10_000, 10_000),
            (2_001, 3_000),
            (2_000, 2_000),
            (1_999, 1_999),
            (1, 1),
        ] {
            let mut timeout = NextTimeout::default();
            assert!(in_seconds(timeout).after.is_not_happening());
            timeout.after = Timeout::from_millis(given);
            assert_eq!(*in_seconds(timeout).after, Duration::from_millis(rounded));
        }
    }
}
