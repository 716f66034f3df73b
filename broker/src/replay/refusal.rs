//! Refusals of requests: a code for programs and a sentence for people.

use super::owners::Holder;
use zibrato::wire::{Refusal, Refused, ReplayAnswer};

pub(super) fn refusal(why: Refusal, text: &str) -> Refused {
    Refused { why, text: text.to_owned(), alive: false }
}

pub(super) fn owned(name: &str, owner: &Holder) -> Refused {
    let Holder { owner, alive } = owner;
    let text = format!(
        "{owner} already reads under the name {name}; stop it, or give this one another --name"
    );
    Refused { why: Refusal::Owned, text, alive: *alive }
}

pub(super) fn unknown(name: &str) -> Refused {
    let text = format!("there is no cursor {name:?}; `zibrato-broker cursors list` shows all");
    Refused { why: Refusal::Unknown, text, alive: false }
}

/// The answer of a broker without a journal, to everything.
pub(crate) fn no_journal() -> ReplayAnswer {
    let text = "the broker keeps no journal; start it without --no-journal, or read the live stream \
                with --live";
    ReplayAnswer::Refused(refusal(Refusal::NoJournal, text))
}
