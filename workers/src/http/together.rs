//! Sends several payloads at the same time, each on a connection of its own.

use crate::backend::Answered;
use crate::{Payload, SendError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, scope};
use tracing::Span;

/// What the threads share.
struct Work<'a> {
    /// The index of the payload that is begun next.
    next: usize,
    is_over: bool,
    answered: Answered<'a>,
}

/// Sends payloads from `most` threads, this one included, until `answered` ends it. See
/// [`Backend::send_together`](crate::Backend::send_together).
pub(crate) fn send_together(
    most: usize,
    payloads: &[Payload],
    answered: Answered<'_>,
    send: impl Fn(&Payload) -> Result<(), SendError> + Sync,
) {
    let work = Mutex::new(Work { next: 0, is_over: false, answered });
    let run = || {
        while let Some(index) = begin(&work)
            && let Some(payload) = payloads.get(index)
        {
            let result = send(payload);
            let mut work = lock(&work);
            work.is_over |= (work.answered)(index, result).is_break();
        }
    };
    let span = Span::current();
    scope(|scope| {
        for _ in 1..most.min(payloads.len()) {
            let run = || span.in_scope(run);
            // Without it, the others do its part.
            if Builder::new().name("zb-send".to_owned()).spawn_scoped(scope, run).is_err() {
                break;
            }
        }
        run();
    });
}

/// The index of the next payload; `None` if no further one is begun.
fn begin(work: &Mutex<Work<'_>>) -> Option<usize> {
    let mut work = lock(work);
    let index = work.next;
    work.next += 1;
    (!work.is_over).then_some(index)
}

fn lock<'a, 'w>(work: &'a Mutex<Work<'w>>) -> MutexGuard<'a, Work<'w>> {
    work.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::send_together;
    use crate::{Payload, SendError};
    use std::collections::BTreeSet;
    use std::ops::ControlFlow::{Break, Continue};
    use std::sync::Barrier;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn payloads(count: u8) -> Vec<Payload> {
        (0..count).map(|n| Payload::new(vec![n], 1)).collect()
    }

    #[test]
    fn so_many_are_in_progress_at_the_same_time_and_each_is_sent_once() {
        // With fewer at the same time, this would never end.
        let (all, barrier, seen) = (payloads(12), Barrier::new(4), Mutex::new(Vec::new()));
        let mut results = BTreeSet::new();
        send_together(
            4,
            &all,
            &mut |index, result| {
                assert!(result.is_ok() && results.insert(index));
                Continue(())
            },
            |payload| {
                barrier.wait();
                seen.lock().unwrap().push(payload.body[0]);
                Ok(())
            },
        );
        assert!(results.into_iter().eq(0..12));
        let mut seen = seen.into_inner().unwrap();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..12));
    }

    #[test]
    fn after_an_error_nothing_is_begun_and_what_was_begun_has_a_result() {
        for most in [1, 4, 100] {
            let (all, begun) = (payloads(50), AtomicUsize::new(0));
            let mut answers = BTreeSet::new();
            send_together(
                most,
                &all,
                &mut |index, result| {
                    assert!(answers.insert(index));
                    if result.is_ok() { Continue(()) } else { Break(()) }
                },
                |payload| {
                    begun.fetch_add(1, Ordering::Relaxed);
                    if payload.body[0] >= 3 {
                        Err(SendError::Reject { why: "no".into() })
                    } else {
                        Ok(())
                    }
                },
            );
            let begun = begun.into_inner();
            assert!(begun < 3 + most + 1, "{begun} of {most}");
            assert!(answers.into_iter().eq(0..begun));
        }
        send_together(4, &[], &mut |_, _| Continue(()), |_| panic!("there is none"));
    }
}
