//! Librato: each window becomes gauges, posted to `/v1/metrics` (or, with tags, to
//! `/v1/measurements`) at most 300 at a time.
//!
//! Counters are sent as their sum, timers and histograms as count, sum, min, max and sum of squares,
//! and sets as the number of their members, with the start of the window as timestamp. Gauges are
//! sent as count, sum, min and max of each second. Each annotation is posted to its stream.

mod accept;
mod annotation;
mod answer;
mod bodies;
pub mod client;
mod ended;
mod flags;
mod gauges;
mod part;
mod place;
mod point;
mod reach;
mod report;
mod slots;
mod tags;
mod text;

pub use flags::{
    Api, CommonTag, CommonTagError, Gauges, LibratoFlags, LibratoPercentiles,
    LibratoPercentilesError, Timers,
};

use crate::backend::{Answered, Greeting, Reached, Sending};
use crate::deliver::causes;
use crate::http::{Endpoint, HttpClient, send_together, send_while_encoding};
use crate::once::Once;
use crate::secret::{GivenSecret, Secret};
use crate::{Backend, BackendProgram, Payload, SendError, Target};
use accept::{AcceptedTimes, Omitted};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gauges::Encoder;
use reach::Question;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use zibrato::clock;
use zibrato::daemon::{Exit, Failure, LogLimit};
use zibrato::window::Window;

/// Delivers to Librato.
///
/// Runs of characters other than `A-Z a-z 0-9 . : - _` in names and sources become `-`, and long
/// ones are truncated at 255 characters. A changed name or source gets a hash of the original
/// appended. Tags become part of the name, as `.tag.value`, except with [`Api::Tagged`]. If several
/// series still have the same name, the first one keeps it, and the others get their kind or a hash
/// appended.
#[derive(Debug)]
pub struct Librato {
    /// The client, the credentials, and the target.
    api: Question,
    /// The streams of annotations.
    annotations: Endpoint,
    encoder: Encoder,
    gauges: Gauges,
    /// Maximum number of requests at the same time.
    connections: u8,
    /// Number of series that were dropped, because no free name was found.
    dropped: u64,
    /// Number of points that were omitted, by [reason](Omitted).
    omitted: [u64; Omitted::ALL.len()],
    limits: [LogLimit; Omitted::ALL.len()],
    once: Once,
    /// A large window while its payloads are being sent.
    spent: Option<Window>,
}

impl Librato {
    /// Number of points omitted so far, because the API would have rejected the whole request (a
    /// number above 1e126, or a time that it does not accept), and of series for which no free name
    /// was found.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped + self.omitted.iter().sum::<u64>()
    }

    /// An error with the ways on, if the service has ended: its address does not work, or it answers
    /// with a notice.
    fn explained(&self, error: SendError, is_notice: bool) -> SendError {
        let is_dead = ended::is_of_ended(self.api.http.host());
        let ended = |why: Box<dyn Error + Send + Sync>| -> Box<dyn Error + Send + Sync> {
            format!("{}. {}", causes(&*why), ended::WAYS_ON).into()
        };
        match error {
            SendError::Retry { after, why } if is_dead || is_notice => {
                SendError::Retry { after, why: ended(why) }
            }
            SendError::Unknown { after, why } if is_dead || is_notice => {
                SendError::Unknown { after, why: ended(why) }
            }
            SendError::Stop { why } if is_dead || is_notice => SendError::Stop { why: ended(why) },
            SendError::Reject { why } if is_notice => SendError::Stop { why: ended(why) },
            other => other,
        }
    }

    /// Posts a payload. Several can be posted at the same time.
    fn post(&self, payload: &Payload) -> Result<(), SendError> {
        let Question { http, authorization, token, .. } = &self.api;
        let sent = match annotation::parts(payload) {
            Some((stream, json)) => {
                let place = self.annotations.with_segment(stream);
                http.post_to(&place, Some(authorization), "application/json", json, &payload.key)
            }
            None => http.post(Some(authorization), "application/json", payload),
        };
        let answer = sent.map_err(|error| self.explained(error.into_send_error(), false))?;
        let secrets = [authorization, token];
        answer::judge(&answer, &secrets, clock::unix_ms()).map_err(|error| {
            let error = match annotation::parts(payload) {
                Some(_) => annotation::unserved(error, answer.status),
                None => error,
            };
            self.explained(error, ended::is_notice(&answer::message(&answer.body)))
        })?;
        if part::is_cut(&answer.body) {
            let (key, status) = (&payload.key, answer.status);
            let why = "the answer is incomplete; if it lists rejected measurements, they are lost";
            tracing::warn!(event = "answer_incomplete", key, status, why);
        }
        match part::refused(&answer.body, payload) {
            None => Ok(()),
            Some(refused) => Err(answer::in_part(&answer, refused, &secrets)),
        }
    }
}

impl Backend for Librato {
    fn payloads(&mut self, window: Window) -> Vec<Payload> {
        let annotations = annotation::payloads(&window);
        let encoded = self.encoder.encode(window, clock::unix_ms());
        self.whole(encoded, annotations)
    }

    fn payloads_sent(&mut self, window: Window, sending: Sending<'_>) -> Vec<Payload> {
        if !self.encoder.claim_distinct(&window) {
            let annotations = annotation::payloads(&window);
            let encoded = self.encoder.encode_any(window, clock::unix_ms());
            return self.whole(encoded, annotations);
        }
        let mut distinct = self.encoder.distinct(&window, clock::unix_ms());
        let connections = usize::from(self.connections);
        let next = |spare| distinct.next(spare);
        let mut payloads =
            send_while_encoding(connections, next, sending, |payload| self.post(payload));
        let encoded = distinct.into_encoded();
        self.report(&encoded);
        payloads.extend(annotation::payloads(&window));
        payloads
    }

    fn keeps_readings(&self) -> bool {
        self.encoder.timers == Timers::Raw
    }

    fn keeps_gauge_seconds(&self) -> bool {
        self.gauges == Gauges::Second
    }

    fn omitted(&self) -> Vec<(&'static str, u64)> {
        let reasons = Omitted::ALL.map(Omitted::word);
        reasons.into_iter().zip(self.omitted).collect()
    }

    fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
        self.post(payload)
    }

    fn send_together(&mut self, payloads: &[Payload], answered: Answered<'_>) {
        let connections = usize::from(self.connections);
        send_together(connections, payloads, answered, |payload| self.post(payload));
        // Usually all payloads of the window have been sent.
        self.spent = None;
    }

    fn destination(&self) -> Option<String> {
        Some(self.api.http.destination())
    }

    fn split(&self, payload: &Payload) -> Option<[Payload; 2]> {
        part::split(payload)
    }

    fn names(&self, payload: &Payload, most: usize) -> Vec<String> {
        match annotation::name(payload) {
            Some(name) => vec![name],
            None => part::names(payload, most),
        }
    }
}

impl BackendProgram for Librato {
    type Flags = LibratoFlags;

    const PROGRAM: &'static str = "zibrato-librato";

    const ABOUT: &'static str = "Delivers measurements to Librato";

    const EXAMPLES: &'static str = "\
Examples:
  zibrato-librato --username ann@example.com --apitoken-file /etc/zibrato/librato --levels info,warn
  ZIBRATO_LIBRATO_APITOKEN=... zibrato-librato --username ann@example.com --flush 10

A gauge is one measurement with the count, sum, min and max of its readings in each second, and a timer
one for the window. --percentiles adds others: --percentiles 50,99 delivers db.query.p50 and .p99.";

    /// Librato's times are whole seconds.
    const SHORTEST_FLUSH: Duration = Duration::from_secs(1);

    fn open(flags: LibratoFlags) -> Result<Self, Failure> {
        open(flags, |variable| std::env::var(variable).ok())
    }

    fn target(&self) -> Option<Target> {
        Some(self.api.target.clone())
    }

    fn reach(&mut self) -> Option<Reached> {
        Some(self.api.reach())
    }

    fn greeting(&self) -> Option<Greeting> {
        let api = self.api.clone();
        Some(Box::new(move || api.greet()))
    }
}

fn open(
    flags: LibratoFlags,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Librato, Failure> {
    let wrong = |why: &str| Failure::new(Exit::Config, why);
    let given = |name: &str, text: Option<String>| {
        let text = text.filter(|text| !text.is_empty())?;
        Some(GivenSecret { secret: Secret::new(text), from: name.to_owned() })
    };
    let old = |name: &str| given(name, variable(name));
    let username = given("--username", flags.username).or_else(|| old("LIBRATO_USER"));
    let username = username.ok_or_else(|| {
        wrong("no user name; give --username or set ZIBRATO_LIBRATO_USERNAME (or LIBRATO_USER)")
    })?;
    let token = Secret::from_flag("--apitoken", flags.apitoken, flags.apitoken_file)?;
    let token = token.or_else(|| old("LIBRATO_TOKEN"));
    let token = token.ok_or_else(|| {
        wrong(
            "no API token; give --apitoken-file FILE or set ZIBRATO_LIBRATO_APITOKEN (or \
             LIBRATO_TOKEN); --apitoken works too, but other users can see a command line",
        )
    })?;
    let is_graphic = |c: char| c.is_ascii_graphic();
    if !username.secret.expose().chars().all(|c| c != ':' && is_graphic(c)) {
        let why = "contains a colon, a space, or another character that a Librato user name cannot \
                   have";
        return Err(wrong(&format!("{}: {why}", username.from)));
    }
    if !token.secret.expose().chars().all(is_graphic) {
        let why = "contains a space or another character that a Librato token cannot have";
        return Err(wrong(&format!("{}: {why}", token.from)));
    }
    let (username, token) = (username.secret, token.secret);
    if let Some(tag) = flags.tag.first().filter(|_| flags.api != Api::Tagged) {
        return Err(wrong(&format!("--tag {tag} is for --api tagged")));
    }
    let path = match flags.api {
        Api::Source => "metrics",
        Api::Tagged => "measurements",
    };
    let base = flags::base(&flags.api_url).map_err(|why| wrong(&why))?;
    let endpoint = Endpoint::parse("--api-url", &format!("{base}/v1/{path}"))?;
    let place = Endpoint::parse("--api-url", &format!("{base}/v1/metrics?length=1"))?;
    let annotations = Endpoint::parse("--api-url", &format!("{base}/v1/annotations"))?;
    let basic = STANDARD.encode(format!("{}:{}", username.expose(), token.expose()));
    let mut encoder = Encoder::new(&flags.prefix);
    (encoder.api, encoder.timers) = (flags.api, flags.timers);
    encoder.percentiles = flags.percentiles.0;
    encoder.tags = flags.tag.into_iter().map(|CommonTag(tag)| tag).collect();
    encoder.times = AcceptedTimes { past: flags.accept_past, future: flags.accept_future };
    let http =
        HttpClient::new(Librato::PROGRAM, endpoint, flags.timeout, flags.ca_file.as_deref())?;
    let (http, authorization) = (Arc::new(http), Secret::new(format!("Basic {basic}")));
    let target = http.target("--api-url");
    Ok(Librato {
        api: Question { http, place, authorization, token, target },
        annotations,
        encoder,
        gauges: flags.gauges,
        connections: flags.connections,
        dropped: 0,
        omitted: [0; Omitted::ALL.len()],
        limits: Default::default(),
        once: Once::default(),
        spent: None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Librato, LibratoFlags, open};
    use crate::{BackendProgram, Secret};
    use clap::{Args, Command};

    fn without_credentials() -> LibratoFlags {
        let mut flags = LibratoFlags::new("", "");
        (flags.username, flags.apitoken) = (None, None);
        flags
    }

    fn basic(flags: LibratoFlags, variables: &[(&str, &str)]) -> String {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        open(flags, variable).unwrap().api.authorization.expose().to_owned()
    }

    #[test]
    fn each_credential_comes_from_its_flag_or_its_old_variable() {
        let ours = "Basic dXNlckBleGFtcGxlLmNvbTp0b2sxMjM=";
        let flags = LibratoFlags::new("user@example.com", "tok123");
        assert_eq!(basic(flags.clone(), &[("LIBRATO_USER", "x"), ("LIBRATO_TOKEN", "y")]), ours);
        let old = [("LIBRATO_USER", "user@example.com"), ("LIBRATO_TOKEN", "tok123")];
        assert_eq!(basic(without_credentials(), &old), ours);
        let empty = LibratoFlags::new("", "");
        assert_eq!(basic(empty, &old), ours);
        let mixed = LibratoFlags { username: None, ..flags };
        assert_eq!(basic(mixed, &old), ours);
    }

    #[test]
    fn a_missing_credential_is_named() {
        let failure = |flags| open(flags, |_| None).unwrap_err();
        let no_user = failure(without_credentials());
        assert_eq!(no_user.exit as u8, 78);
        for word in ["--username", "ZIBRATO_LIBRATO_USERNAME"] {
            assert!(no_user.message.contains(word), "{no_user}");
        }
        let no_token = failure(LibratoFlags::new("ann", ""));
        assert_eq!(no_token.exit as u8, 78);
        for word in ["--apitoken-file", "ZIBRATO_LIBRATO_APITOKEN", "--apitoken "] {
            assert!(no_token.message.contains(word), "{no_token}");
        }
        for (user, token) in [("a:b", "t"), ("é", "t"), ("a b", "t"), ("a", "t\n"), ("a", "é")] {
            assert_eq!(failure(LibratoFlags::new(user, token)).exit as u8, 78);
        }
    }

    #[test]
    fn the_token_is_in_no_debug_output() {
        let flags = LibratoFlags::new("ann", "tok123");
        let opened = Librato::open(flags.clone()).unwrap();
        let shown = format!("{flags:?} {opened:?}");
        let basic = opened.api.authorization.expose().trim_start_matches("Basic ");
        assert!(!shown.contains("tok123") && !shown.contains(basic), "{shown}");
    }

    #[test]
    fn help_names_every_flag_and_its_default() {
        let command = LibratoFlags::augment_args(Command::new(Librato::PROGRAM));
        let help = command.clone().render_long_help().to_string();
        for word in ["--username", "--apitoken-file", "https://metrics-api.librato.com", "10"] {
            assert!(help.contains(word), "{help}");
        }
        let given = command.try_get_matches_from(["zibrato-librato", "--apitoken", "tok123"]);
        let token = given.unwrap().get_one::<Secret>("apitoken").cloned();
        assert_eq!(token, Some(Secret::new("tok123")));
    }
}
