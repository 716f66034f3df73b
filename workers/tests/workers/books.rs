//! A backend with scripted answers that records everything.

use crate::publisher::until;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;
use zibrato::window::Window;
use zibrato_workers::{Backend, Payload, SendError};

/// The answer of a backend that the test controls.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Reject,
    Retry,
    Stop,
    Take,
    /// Accepts the payload, but the answer does not arrive.
    TakeSilently,
}

/// Everything that a backend received and accepted.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) answers: VecDeque<Answer>,
    /// The answer if no other is scripted.
    always: Option<Answer>,
    pub(crate) tries: Vec<(Instant, String, String)>,
    taken: Vec<(String, String)>,
}

/// A backend that records key and body of each payload: one payload per window.
#[derive(Clone, Default)]
pub(crate) struct Books(Arc<Mutex<Seen>>);

impl Books {
    pub(crate) fn always(answer: Answer) -> Self {
        let books = Self::default();
        books.say(Some(answer));
        books
    }

    pub(crate) fn say(&self, answer: Option<Answer>) {
        self.0.lock().unwrap().always = answer;
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Seen) -> T) -> T {
        read(&self.0.lock().unwrap())
    }

    pub(crate) fn taken(&self) -> Vec<(String, String)> {
        self.read(|seen| seen.taken.clone())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }

    #[track_caller]
    pub(crate) fn until_taken(&self, windows: usize) {
        until("the windows", || (self.taken().len() >= windows).then_some(()));
    }
}

impl Backend for Books {
    fn payloads(&mut self, window: Window) -> Vec<Payload> {
        let (start, series) = (window.start_ms(), window.len());
        let text = format!("{start} {:?}", window.into_series());
        vec![Payload::new(text.into_bytes(), series)]
    }

    fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
        let body = String::from_utf8(payload.body.clone()).unwrap();
        let mut seen = self.0.lock().unwrap();
        seen.tries.push((Instant::now(), payload.key.clone(), body.clone()));
        let answer = seen.answers.pop_front().or(seen.always).unwrap_or(Answer::Take);
        if matches!(answer, Answer::Take | Answer::TakeSilently) {
            seen.taken.push((payload.key.clone(), body));
        }
        match answer {
            Answer::Reject => Err(SendError::Reject { why: "bad\nbody".into() }),
            Answer::Retry => Err(SendError::Retry { after: None, why: "again".into() }),
            Answer::Stop => Err(SendError::Stop { why: "401".into() }),
            Answer::Take => Ok(()),
            Answer::TakeSilently => Err(SendError::Unknown { after: None, why: "cut".into() }),
        }
    }
}
