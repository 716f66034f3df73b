//! Finds out whether measurements can be delivered, without delivering any: for the command `check`
//! and at the start of a worker.

use super::{answer, ended};
use crate::backend::{Hindrance, Reached, SendError, Target};
use crate::deliver::causes;
use crate::http::{Endpoint, HttpClient};
use crate::program::probe;
use crate::secret::Secret;
use std::error::Error;
use std::sync::Arc;
use zibrato::clock;
use zibrato::daemon::look_up;

/// What is needed to ask the API.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) http: Arc<HttpClient>,
    /// The list of metrics, of which one is asked for.
    pub(super) place: Endpoint,
    pub(super) authorization: Secret,
    pub(super) token: Secret,
    pub(super) target: Target,
}

impl Question {
    /// Resolves, connects and authenticates.
    pub(super) fn reach(&self) -> Reached {
        let mut works = Vec::new();
        let fails = self.try_each(&mut works).err().map(|Hindrance { why, .. }| why);
        let mut reached = Reached::default();
        (reached.works, reached.fails) = (works, fails);
        reached
    }

    /// The same, for a worker that starts.
    pub(super) fn greet(&self) -> Result<(), Hindrance> {
        self.try_each(&mut Vec::new())
    }

    fn try_each(&self, works: &mut Vec<String>) -> Result<(), Hindrance> {
        let Target { flag, host, port, .. } = &self.target;
        let unreachable = |why| Hindrance::new("backend_unreachable", self.with_ways_on(why));
        let addresses = look_up(flag, host, *port).map_err(unreachable)?;
        if let Some(first) = addresses.first() {
            let more = match addresses.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            works.push(format!("{host} resolves to {}{more}", first.ip()));
        }
        probe::connect(&self.target, &addresses).map_err(unreachable)?;
        works.push(format!("{host}:{port} accepts connections"));
        let answer = self.http.get(&self.place, Some(&self.authorization));
        let answer = answer.map_err(|error| unreachable(error.why()))?;
        let secrets = [&self.authorization, &self.token];
        let judged = answer::judge(&answer, &secrets, clock::unix_ms());
        let Err(error) = judged else {
            works.push("the credentials are accepted".to_owned());
            return Ok(());
        };
        if matches!(answer.status, 405 | 501) {
            works.push(format!(
                "the server answers, but has no list of metrics ({}), so the credentials are not \
                 checked",
                answer.status
            ));
            return Ok(());
        }
        let why = error.source().map_or_else(String::new, causes);
        let is_refused =
            matches!(error, SendError::Stop { .. } if matches!(answer.status, 401 | 403));
        if is_refused {
            return Err(Hindrance::new("credentials_refused", why));
        }
        let why = if ended::is_notice(&answer::message(&answer.body)) {
            format!("{why}. {}", ended::WAYS_ON)
        } else {
            self.with_ways_on(why)
        };
        Err(Hindrance::new("backend_unready", why))
    }

    /// Why the address of a service that has ended does not work.
    pub(super) fn with_ways_on(&self, why: String) -> String {
        if ended::is_of_ended(self.http.host()) {
            format!("{why}. {}", ended::WAYS_ON)
        } else {
            why
        }
    }
}
