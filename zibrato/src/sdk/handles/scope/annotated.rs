//! A call that is an event: recorded as an annotation at its end.

use super::{Ending, Recording};
use crate::sdk::points::draft::Draft;

/// Records an annotation with the beginning and the end of the call.
#[derive(Debug)]
pub struct Annotated(Option<Box<Draft>>);

/// The call begins now. Without a draft, nobody wants the annotation.
#[must_use]
pub fn annotated(mut draft: Option<Box<Draft>>) -> Annotated {
    if let Some(draft) = &mut draft {
        draft.begin();
    }
    Annotated(draft)
}

impl Recording for Annotated {
    #[inline]
    fn end(&mut self, ending: Ending) {
        if let Some(draft) = self.0.take() {
            draft.end(match ending {
                Ending::Panic => Some("panicked"),
                Ending::Cancelled => Some("cancelled"),
                Ending::Ok | Ending::Err => None,
            });
        }
    }
}
