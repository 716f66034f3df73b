//! Librato: each window becomes gauges, posted to `/v1/metrics` at most 300 at a time.
//!
//! Counters are sent as their sum, timers, histograms and gauges as count, sum, min and max, and
//! sets as the number of their members, all with the start of the window as timestamp.

mod answer;
mod gauges;
mod part;
mod text;

use crate::http::{Endpoint, HttpClient, Unanswered};
use crate::once::Once;
use crate::secret::{GivenSecret, Secret};
use crate::{Backend, BackendProgram, Payload, SendError, Target};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gauges::Encoder;
use std::path::PathBuf;
use std::time::Duration;
use zibrato::clock;
use zibrato::daemon::{Exit, Failure, seconds};
use zibrato::window::Window;

const DEFAULT_API_URL: &str = "https://metrics-api.librato.com";

/// The flags of `zibrato-librato`.
#[derive(Debug, Clone, clap::Args)]
#[non_exhaustive]
#[command(next_help_heading = "Librato")]
pub struct LibratoFlags {
    /// User name of the account, usually an e-mail address. The variable LIBRATO_USER is read too
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,

    /// API token. Prefer --apitoken-file or a variable: other users can see a command line. The
    /// variable LIBRATO_TOKEN is read too
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    pub apitoken: Option<Secret>,

    /// File that contains the API token
    #[arg(long, value_name = "FILE")]
    pub apitoken_file: Option<PathBuf>,

    /// Base URL of the API; /v1/metrics is appended. http:// is accepted for this machine only
    #[arg(long, value_name = "URL", default_value = DEFAULT_API_URL)]
    pub api_url: String,

    /// PEM file of certificate authorities to trust, in addition to the system's (or those of
    /// SSL_CERT_FILE and SSL_CERT_DIR)
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Timeout of a request, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds(0.001..=86_400.0))]
    pub timeout: Duration,

    /// Prefix for every metric name, joined by a dot
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub prefix: String,
}

impl LibratoFlags {
    /// Flags with these credentials and defaults for everything else, for programs that embed the
    /// backend.
    ///
    /// ```
    /// use zibrato_workers::librato::LibratoFlags;
    /// let flags = LibratoFlags::new("user@example.com", "tok123");
    /// assert_eq!(flags.api_url, "https://metrics-api.librato.com");
    /// ```
    #[must_use]
    pub fn new(username: impl Into<String>, apitoken: impl Into<String>) -> Self {
        Self {
            username: Some(username.into()),
            apitoken: Some(Secret::new(apitoken)),
            apitoken_file: None,
            api_url: DEFAULT_API_URL.to_owned(),
            ca_file: None,
            timeout: Duration::from_secs(10),
            prefix: String::new(),
        }
    }
}

/// Delivers to Librato.
///
/// Runs of characters other than `A-Z a-z 0-9 . : - _` in names and sources become `-`, and long
/// ones are truncated at 255 characters. A changed name or source gets a hash of the original
/// appended. Tags become part of the name, as `.tag.value`. If several series still have the same
/// name, the first one keeps it, and the others get their kind or a hash appended.
#[derive(Debug)]
pub struct Librato {
    http: HttpClient,
    token: Secret,
    /// The value of the `Authorization` header.
    authorization: Secret,
    encoder: Encoder,
    dropped: u64,
    once: Once,
}

impl Librato {
    /// Number of series omitted so far, because the API would have rejected the whole request (a
    /// number above 1e126), or because no free name was found.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Backend for Librato {
    fn payloads(&mut self, window: Window) -> Vec<Payload> {
        let encoded = self.encoder.encode(window);
        if encoded.dropped > 0 {
            self.dropped += encoded.dropped;
            let first = encoded.first_dropped.as_deref().unwrap_or_default();
            if self.once.is_news("series_dropped", first) {
                tracing::warn!(event = "series_dropped", count = encoded.dropped, first);
            }
        }
        if encoded.merged > 0 || encoded.renamed > 0 {
            let (merged, renamed) = (encoded.merged, encoded.renamed);
            tracing::debug!(event = "series_renamed", merged, renamed);
        }
        encoded.alike.log();
        encoded.payloads
    }

    fn send(&mut self, payload: &Payload) -> Result<(), SendError> {
        let sent = self.http.post(Some(&self.authorization), "application/json", payload);
        let answer = sent.map_err(Unanswered::into_send_error)?;
        let secrets = [&self.authorization, &self.token];
        answer::judge(&answer, &secrets, clock::unix_ms())?;
        match part::refused(&answer.body, payload) {
            None => Ok(()),
            Some(refused) => Err(answer::in_part(&answer, refused, &secrets)),
        }
    }

    fn destination(&self) -> Option<String> {
        Some(self.http.destination())
    }

    fn split(&self, payload: &Payload) -> Option<[Payload; 2]> {
        part::split(payload)
    }

    fn names(&self, payload: &Payload, most: usize) -> Vec<String> {
        part::names(payload, most)
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

A gauge is one measurement with the count, sum, min and max of its readings in the window, and a timer
likewise. So there are no parts to choose, unlike with zibrato-carbon.";

    /// Librato's times are whole seconds.
    const SHORTEST_FLUSH: Duration = Duration::from_secs(1);

    fn open(flags: LibratoFlags) -> Result<Self, Failure> {
        open(flags, |variable| std::env::var(variable).ok())
    }

    fn target(&self) -> Option<Target> {
        Some(self.http.target("--api-url"))
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
    let url = format!("{}/v1/metrics", flags.api_url.trim().trim_end_matches('/'));
    let endpoint = Endpoint::parse("--api-url", &url)?;
    let basic = STANDARD.encode(format!("{}:{}", username.expose(), token.expose()));
    Ok(Librato {
        http: HttpClient::new(Librato::PROGRAM, endpoint, flags.timeout, flags.ca_file.as_deref())?,
        token,
        authorization: Secret::new(format!("Basic {basic}")),
        encoder: Encoder::new(&flags.prefix),
        dropped: 0,
        once: Once::default(),
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
        open(flags, variable).unwrap().authorization.expose().to_owned()
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
        let basic = opened.authorization.expose().trim_start_matches("Basic ");
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
