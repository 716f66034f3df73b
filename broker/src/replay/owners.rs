//! The owners of names: a name belongs to one reader until that reader has made no request for a while.

use crate::libzmq::connections::Connection;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use zibrato::wire::Reader as Who;

/// Time for which a reader keeps its name after its last request.
pub(crate) const LEASE: Duration = Duration::from_secs(5);

/// Time within which a reader whose connection has ended must make a request, or it loses its name.
const BACK_WITHIN: Duration = Duration::from_secs(1);

/// A connected reader that made a request within this time is alive. Readers make one every two
/// seconds.
const THERE: Duration = Duration::from_secs(3);

/// Maximum bytes of a reader's description of itself.
const MAX_ABOUT_BYTES: usize = 200;

/// The origin of a request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Origin<'a> {
    pub(super) address: &'a str,
    pub(super) connection: Option<Connection>,
}

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
    /// Its last connection, if that is known.
    connection: Option<Connection>,
    heard: Instant,
    until: Instant,
}

/// The owner of a name that another reader requests.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) owner: String,
    /// It is connected, and made a request a moment ago.
    pub(super) alive: bool,
}

impl Owners {
    /// Gives a name to the reader, if it is free or already belongs to the reader.
    ///
    /// # Errors
    /// The current owner.
    pub(crate) fn claim(
        &mut self,
        who: &Who,
        (about, origin): (&str, Origin<'_>),
        now: Instant,
    ) -> Result<(), Holder> {
        let Origin { address, connection } = origin;
        if let Some(owner) = self.by_name.get_mut(&who.name) {
            if owner.session == who.session {
                owner.until = now + LEASE;
                // The reader of a waiting request may have disconnected meanwhile.
                if connection.is_none_or(Connection::is_open) {
                    (owner.connection, owner.heard) = (connection, now);
                }
                return Ok(());
            }
            let silent = now.saturating_duration_since(owner.heard);
            let connected = owner.connection.map(Connection::is_open);
            let gone = connected == Some(false) && silent >= BACK_WITHIN;
            if owner.until > now && !gone {
                let alive = connected == Some(true) && silent < THERE;
                return Err(Holder { owner: owner.to_string(), alive });
            }
        }
        let about: String = about.chars().filter(|c| !c.is_control()).collect();
        let end =
            (0..=MAX_ABOUT_BYTES.min(about.len())).rev().find(|at| about.is_char_boundary(*at));
        let about = about.get(..end.unwrap_or(0)).unwrap_or_default().to_owned();
        let (session, address) = (who.session.clone(), address.to_owned());
        let owner = Owner { session, about, address, connection, heard: now, until: now + LEASE };
        self.by_name.insert(who.name.clone(), owner);
        Ok(())
    }

    /// The reader waits for an answer until `until`, and keeps the name meanwhile.
    pub(crate) fn extend(&mut self, name: &str, until: Instant) {
        if let Some(owner) = self.by_name.get_mut(name) {
            owner.until = owner.until.max(until + LEASE);
        }
    }

    /// The reader releases the name.
    pub(crate) fn release(&mut self, who: &Who) {
        if self.by_name.get(&who.name).is_some_and(|owner| owner.session == who.session) {
            self.by_name.remove(&who.name);
        }
    }

    /// The current owner of a name, for display.
    pub(crate) fn of(&self, name: &str, now: Instant) -> Option<String> {
        self.by_name.get(name).filter(|owner| owner.until > now).map(Owner::to_string)
    }

    /// Removes owners whose time is over, and returns their names.
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
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    fn who(session: &str) -> Who {
        Who { name: "zibrato-carbon".to_owned(), session: session.to_owned() }
    }

    #[test]
    fn a_name_is_for_one_reader_until_it_is_silent_or_lets_go() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut owners = Owners::default();
        let here = Origin { address: "127.0.0.1", connection: None };
        let first = ("web-1, process 42", here);
        assert_eq!(owners.claim(&who("a"), first, start), Ok(()));
        let refused = owners.claim(&who("b"), ("", Origin::default()), after(4));
        let owner = "web-1, process 42 at 127.0.0.1".to_owned();
        assert_eq!(refused, Err(Holder { owner, alive: false }));
        assert_eq!(owners.claim(&who("a"), first, after(4)), Ok(()));
        assert!(owners.claim(&who("b"), ("", Origin::default()), after(8)).is_err());
        owners.extend("zibrato-carbon", after(20));
        assert!(owners.claim(&who("b"), ("", Origin::default()), after(24)).is_err());
        assert_eq!(owners.claim(&who("b"), ("", Origin::default()), after(25)), Ok(()));
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
    fn a_reader_that_is_connected_is_alive_and_one_that_is_not_loses_its_name_soon() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut owners = Owners::default();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let connection = Connection::of(ours.as_raw_fd());
        let from = |connection| ("", Origin { address: "", connection });
        assert_eq!(owners.claim(&who("a"), from(connection), start), Ok(()));
        let refused = |alive| Err(Holder { owner: "somebody".to_owned(), alive });
        assert_eq!(owners.claim(&who("b"), from(None), after(10)), refused(true));
        // The reader is connected but makes no requests: its machine may have failed.
        assert_eq!(owners.claim(&who("b"), from(None), after(3_000)), refused(false));
        assert_eq!(owners.claim(&who("a"), from(connection), after(4_000)), Ok(()));
        drop(theirs);
        assert_eq!(owners.claim(&who("b"), from(None), after(4_500)), refused(false));
        // An earlier request of the previous owner changes nothing.
        assert_eq!(owners.claim(&who("a"), from(connection), after(4_900)), Ok(()));
        assert_eq!(owners.claim(&who("b"), from(None), after(5_000)), Ok(()));
    }

    #[test]
    fn what_a_reader_says_about_itself_is_cut_and_has_no_control_characters() {
        let mut owners = Owners::default();
        let about = format!("\x1b[31m{}", "é".repeat(300));
        owners.claim(&who("a"), (&about, Origin::default()), Instant::now()).unwrap();
        let told = owners.of("zibrato-carbon", Instant::now()).unwrap();
        assert!(told.len() <= MAX_ABOUT_BYTES && !told.contains('\x1b'), "{told}");
    }
}
