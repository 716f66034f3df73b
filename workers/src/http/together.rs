//! Sends several payloads at the same time, each on a connection of its own.

use crate::backend::{Answered, Sending};
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
    in_threads(most.min(payloads.len()), run);
}

/// A window while it is encoded.
struct Source<N> {
    /// Returns the next payload, whose memory may be the one that it gets.
    next: N,
    index: usize,
    is_over: bool,
    /// Memory of bodies that were accepted.
    spare: Vec<Vec<u8>>,
}

/// The payloads that have a result.
struct Ends<'a> {
    all: Vec<Option<Payload>>,
    answered: Answered<'a>,
}

/// Encodes payloads, one after the other, and sends them from `most` threads, this one included, until
/// one is not accepted. Returns all of them. See
/// [`Backend::payloads_sent`](crate::Backend::payloads_sent).
pub(crate) fn send_while_encoding(
    most: usize,
    next: impl FnMut(Option<Vec<u8>>) -> Option<Payload> + Send,
    sending: Sending<'_>,
    send: impl Fn(&Payload) -> Result<(), SendError> + Sync,
) -> Vec<Payload> {
    let Sending { key, answered } = sending;
    let source = Mutex::new(Source { next, index: 0, is_over: false, spare: Vec::new() });
    let ends = Mutex::new(Ends { all: Vec::new(), answered });
    let begin = || {
        let mut source = lock(&source);
        let spare = source.spare.pop();
        let payload = if source.is_over { None } else { (source.next)(spare) }?;
        source.index += 1;
        Some((source.index - 1, payload))
    };
    let run = || {
        while let Some((index, mut payload)) = begin() {
            payload.key = key(index, &payload.body);
            let result = send(&payload);
            let accepted = result.is_ok().then(|| std::mem::take(&mut payload.body));
            let accepted = accepted.map(|mut body| {
                body.clear();
                body
            });
            let mut ends = lock(&ends);
            if ends.all.len() <= index {
                ends.all.resize_with(index + 1, || None);
            }
            ends.all[index] = Some(payload);
            let is_over = (ends.answered)(index, result).is_break();
            drop(ends);
            let mut source = lock(&source);
            source.is_over |= is_over;
            source.spare.extend(accepted);
        }
    };
    in_threads(most, run);
    let mut source = source.into_inner().unwrap_or_else(PoisonError::into_inner);
    let ends = ends.into_inner().unwrap_or_else(PoisonError::into_inner);
    // All that were begun have ended.
    let mut all: Vec<_> = ends.all.into_iter().flatten().collect();
    all.extend(std::iter::from_fn(|| (source.next)(None)));
    all
}

/// Runs the same in so many threads, this one included.
fn in_threads(most: usize, run: impl Fn() + Sync) {
    let span = Span::current();
    scope(|scope| {
        for _ in 1..most {
            let run = || span.in_scope(&run);
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{send_together, send_while_encoding};
    use crate::{Payload, SendError, Sending};
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

    #[test]
    fn payloads_are_sent_while_others_are_encoded_and_all_are_returned_in_order() {
        for (most, bad) in [(1, None), (4, None), (1, Some(7)), (4, Some(7)), (100, Some(7))] {
            let (encoded, begun) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let mut answers = BTreeSet::new();
            let answered = &mut |index, result: Result<(), _>| {
                assert!(answers.insert(index));
                if result.is_ok() { Continue(()) } else { Break(()) }
            };
            let next = |spare: Option<Vec<u8>>| {
                let n = encoded.fetch_add(1, Ordering::Relaxed);
                let mut body = spare.unwrap_or_default();
                assert!(body.is_empty());
                body.push(u8::try_from(n).unwrap());
                (n < 50).then(|| Payload::new(body, 1))
            };
            let key = |index: usize, body: &[u8]| format!("{index}-{}", body[0]);
            let sending = Sending { key: &key, answered };
            let all = send_while_encoding(most, next, sending, |payload| {
                begun.fetch_add(1, Ordering::Relaxed);
                let n = usize::from(payload.body[0]);
                assert_eq!(payload.key, format!("{n}-{n}"));
                // The first one is accepted only when another one was encoded.
                while most > 1 && n == 0 && encoded.load(Ordering::Relaxed) < 2 {
                    std::thread::yield_now();
                }
                let is_bad = bad.is_some_and(|bad| n >= bad);
                if is_bad { Err(SendError::Reject { why: "no".into() }) } else { Ok(()) }
            });
            let begun = begun.into_inner();
            assert!(answers.into_iter().eq(0..begun));
            assert!(bad.map_or(begun == 50, |bad| (bad + 1..=bad + most).contains(&begun)));
            assert_eq!(all.len(), 50);
            for (n, payload) in all.iter().enumerate() {
                // A body that was accepted is gone.
                let is_kept = bad.is_some_and(|bad| n >= bad);
                assert_eq!(payload.body, if is_kept { vec![n as u8] } else { Vec::new() }, "{n}");
                assert_eq!(payload.key.is_empty(), n >= begun);
            }
        }
    }
}
