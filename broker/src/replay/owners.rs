//! Who reads under which name: one at a time, until nothing was heard of it for a while.

use std::collections::HashMap;
use std::time::{Duration, Instant};
use zibrato::wire::Reader as Who;

/// How long a name stays with a reader that is not heard of.
pub(crate) const LEASE: Duration = Duration::from_secs(5);

/// The most bytes of what a reader says about itself.
const MAX_ABOUT_BYTES: usize = 200;

/// The owners of names.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    by_name: HashMap<String, Owner>,
}

#[derive(Debug)]
struct Owner {
    session: String,
    about: String,
    address: String,
    until: Instant,
}

impl Owners {
    /// Gives the name to the reader, if it is free or the reader's already.
    ///
    /// # Errors
    /// Who has it.
    pub(crate) fn claim(
        &mut self,
        who: &Who,
        (about, address): (&str, &str),
        now: Instant,
    ) -> Result<(), String> {
        if let Some(owner) = self.by_name.get_mut(&who.name) {
            if owner.session == who.session {
                owner.until = now + LEASE;
                return Ok(());
            }
            if owner.until > now {
                return Err(owner.to_string());
            }
        }
        let about: String = about.chars().filter(|c| !c.is_control()).collect();
        let end =
            (0..=MAX_ABOUT_BYTES.min(about.len())).rev().find(|at| about.is_char_boundary(*at));
        let about = about.get(..end.unwrap_or(0)).unwrap_or_default().to_owned();
        let (session, address) = (who.session.clone(), address.to_owned());
        let owner = Owner { session, about, address, until: now + LEASE };
        self.by_name.insert(who.name.clone(), owner);
        Ok(())
    }

    /// The reader waits for an answer until then, and keeps the name meanwhile.
    pub(crate) fn extend(&mut self, name: &str, until: Instant) {
        if let Some(owner) = self.by_name.get_mut(name) {
            owner.until = owner.until.max(until + LEASE);
        }
    }

    /// The reader has no more use for the name.
    pub(crate) fn release(&mut self, who: &Who) {
        if self.by_name.get(&who.name).is_some_and(|owner| owner.session == who.session) {
            self.by_name.remove(&who.name);
        }
    }

    /// Who reads under this name now.
    pub(crate) fn of(&self, name: &str, now: Instant) -> Option<String> {
        self.by_name.get(name).filter(|owner| owner.until > now).map(Owner::to_string)
    }

    /// Forgets those who were not heard of, and says which.
    pub(crate) fn forget_silent(&mut self, now: Instant) -> Vec<String> {
        let silent = self.by_name.iter().filter(|(_, owner)| owner.until <= now);
        let silent: Vec<_> = silent.map(|(name, _)| name.clone()).collect();
        for name in &silent {
            self.by_name.remove(name);
        }
        silent
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.about.as_str(), self.address.as_str()) {
            ("", "") => f.write_str("somebody"),
            ("", address) => f.write_str(address),
            (about, "") => f.write_str(about),
            (about, address) => write!(f, "{about} at {address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(session: &str) -> Who {
        Who { name: "zibrato-carbon".to_owned(), session: session.to_owned() }
    }

    #[test]
    fn a_name_is_for_one_reader_until_it_is_silent_or_lets_go() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut owners = Owners::default();
        let first = ("web-1, process 42", "127.0.0.1");
        assert_eq!(owners.claim(&who("a"), first, start), Ok(()));
        let refused = owners.claim(&who("b"), ("", ""), after(4));
        assert_eq!(refused, Err("web-1, process 42 at 127.0.0.1".to_owned()));
        assert_eq!(owners.claim(&who("a"), first, after(4)), Ok(()));
        assert!(owners.claim(&who("b"), ("", ""), after(8)).is_err());
        owners.extend("zibrato-carbon", after(20));
        assert!(owners.claim(&who("b"), ("", ""), after(24)).is_err());
        assert_eq!(owners.claim(&who("b"), ("", ""), after(25)), Ok(()));
        assert_eq!(owners.of("zibrato-carbon", after(25)), Some("somebody".to_owned()));
        owners.release(&who("a"));
        assert!(owners.claim(&who("a"), first, after(26)).is_err());
        owners.release(&who("b"));
        assert_eq!(owners.of("zibrato-carbon", after(26)), None);
        assert_eq!(owners.claim(&who("a"), first, after(26)), Ok(()));
        assert_eq!(owners.forget_silent(after(30)), Vec::<String>::new());
        assert_eq!(owners.forget_silent(after(31)), ["zibrato-carbon"]);
    }

    #[test]
    fn what_a_reader_says_about_itself_is_cut_and_has_no_control_characters() {
        let mut owners = Owners::default();
        let about = format!("\x1b[31m{}", "é".repeat(300));
        owners.claim(&who("a"), (&about, ""), Instant::now()).unwrap();
        let told = owners.of("zibrato-carbon", Instant::now()).unwrap();
        assert!(told.len() <= MAX_ABOUT_BYTES && !told.contains('\x1b'), "{told}");
    }
}
