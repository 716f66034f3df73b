//! Credentials: from arguments, a file, or the environment.

use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::PathBuf;

/// Who calls the API.
///
/// ```
/// use zibrato_workers::librato::client::Credentials;
/// let given = Credentials::new("user@example.com", "tok123")?;
/// assert!(!format!("{given:?}").contains("tok123"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub(super) service: Service,
    pub(super) token: Secret,
    /// The value of the header.
    pub(super) authorization: Secret,
}

/// The service that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// Measurements always have tags there.
    AppOptics,
    Librato,
}

/// Why credentials cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// A user name or token is missing.
    #[error("no {what}; pass it, or set {variable}")]
    Missing {
        /// `user name` or `API token`.
        what: &'static str,
        /// The variable that is read for it.
        variable: &'static str,
    },
    /// A user name or token has a character that cannot be sent.
    #[error(
        "Librato only supports ascii for the credentials, without spaces, and without colons in user names"
    )]
    NotAscii,
    /// The file with the token cannot be read.
    #[error("{0}")]
    File(String),
}

impl Credentials {
    /// A user name, usually an e-mail address, and an API token. One that is empty is read from the
    /// variable `LIBRATO_USER` or `LIBRATO_TOKEN`.
    ///
    /// # Errors
    /// If one is missing or not ASCII.
    pub fn new(
        user: impl Into<String>,
        token: impl Into<String>,
    ) -> Result<Self, CredentialsError> {
        Self::from_variables(user, token, |name| std::env::var(name).ok())
    }

    /// The variables `LIBRATO_USER` and `LIBRATO_TOKEN`.
    ///
    /// # Errors
    /// If one is missing or not ASCII.
    pub fn from_env() -> Result<Self, CredentialsError> {
        Self::new("", "")
    }

    /// A user name, and a file that contains the API token and nothing else, except blanks around it.
    ///
    /// # Errors
    /// If the file cannot be read or is not a token, or the user name is missing or not ASCII.
    pub fn from_file(
        user: impl Into<String>,
        file: impl Into<PathBuf>,
    ) -> Result<Self, CredentialsError> {
        let read = Secret::from_flag("token", None, Some(file.into()));
        let given = read.map_err(|failure| CredentialsError::File(failure.message))?;
        let token = given.map(|given| given.secret.expose().to_owned());
        Self::new(user, token.unwrap_or_default())
    }

    /// An AppOptics token, which takes the place of the user name; the password is empty. If it is
    /// empty, the variable `APPOPTICS_TOKEN` is read. Every measurement needs a tag then, and the
    /// default URL is that of AppOptics.
    ///
    /// # Errors
    /// If it is missing or not ASCII.
    pub fn appoptics(token: impl Into<String>) -> Result<Self, CredentialsError> {
        let variable = |name: &str| std::env::var(name).ok();
        let token = given(token.into(), "API token", "APPOPTICS_TOKEN", variable)?;
        if token.contains(':') {
            return Err(CredentialsError::NotAscii);
        }
        Ok(Self::encoded(Service::AppOptics, &token, "", token.clone()))
    }

    /// As [`new`](Self::new), with another source of variables, such as a configuration.
    ///
    /// ```
    /// use zibrato_workers::librato::client::Credentials;
    /// let variable = |name: &str| Some(name.to_lowercase());
    /// assert!(Credentials::from_variables("", "", variable).is_ok());
    /// assert!(Credentials::from_variables("", "", |_| None).is_err());
    /// ```
    ///
    /// # Errors
    /// If one is missing or not ASCII.
    pub fn from_variables(
        user: impl Into<String>,
        token: impl Into<String>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CredentialsError> {
        let (user, token) = (user.into(), token.into());
        let user = given(user, "user name", "LIBRATO_USER", &variable)?;
        let token = given(token, "API token", "LIBRATO_TOKEN", &variable)?;
        if user.contains(':') {
            return Err(CredentialsError::NotAscii);
        }
        Ok(Self::encoded(Service::Librato, &user, &token, token.clone()))
    }

    fn encoded(service: Service, user: &str, password: &str, token: String) -> Self {
        let basic = STANDARD.encode(format!("{user}:{password}"));
        let authorization = Secret::new(format!("Basic {basic}"));
        Self { service, token: Secret::new(token), authorization }
    }

    /// A text without the token and the header, for what the server says.
    pub(super) fn redact(&self, text: &str) -> String {
        let authorization = self.authorization.expose().trim_start_matches("Basic ");
        self.token.redact(&Secret::new(authorization).redact(text))
    }
}

/// A text that is given or in a variable, and can be sent.
fn given(
    text: String,
    what: &'static str,
    name: &'static str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<String, CredentialsError> {
    let text = if text.is_empty() { variable(name).unwrap_or_default() } else { text };
    if text.is_empty() {
        return Err(CredentialsError::Missing { what, variable: name });
    }
    let is_sendable = text.chars().all(|c| c.is_ascii_graphic());
    if is_sendable { Ok(text) } else { Err(CredentialsError::NotAscii) }
}

#[cfg(test)]
mod tests {
    use super::{Credentials, CredentialsError};

    fn basic(user: &str, token: &str, set: &[(&str, &str)]) -> Result<String, CredentialsError> {
        let variable = |name: &str| {
            set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let given = Credentials::from_variables(user, token, variable);
        given.map(|given| given.authorization.expose().to_owned())
    }

    #[test]
    fn each_credential_is_given_or_comes_from_its_variable() {
        let ours = Ok("Basic dXNlckBleGFtcGxlLmNvbTp0b2sxMjM=".to_owned());
        let set = [("LIBRATO_USER", "user@example.com"), ("LIBRATO_TOKEN", "tok123")];
        assert_eq!(basic("user@example.com", "tok123", &[]), ours);
        assert_eq!(basic("", "", &set), ours);
        assert_eq!(basic("user@example.com", "", &set), ours);
        assert_eq!(basic("", "tok123", &set), ours);
        let missing = basic("", "tok123", &[]).unwrap_err().to_string();
        assert_eq!(missing, "no user name; pass it, or set LIBRATO_USER");
        let missing = basic("a", "", &[("LIBRATO_TOKEN", "")]).unwrap_err().to_string();
        assert_eq!(missing, "no API token; pass it, or set LIBRATO_TOKEN");
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for (user, token) in
            [("é", "t"), ("a", "é"), ("a b", "t"), ("a:b", "t"), ("a", "t\r\nX: y")]
        {
            assert_eq!(basic(user, token, &[]), Err(CredentialsError::NotAscii), "{user} {token}");
        }
        let given = Credentials::appoptics("tok123").unwrap();
        assert_eq!(given.authorization.expose(), "Basic dG9rMTIzOg==");
        assert_eq!(Credentials::appoptics("a:b"), Err(CredentialsError::NotAscii));
        let text = given.redact("Basic dG9rMTIzOg== of tok123");
        assert_eq!(text, "Basic *** of ***");
    }

    #[test]
    fn a_token_comes_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "tok123\n").unwrap();
        let given = Credentials::from_file("user@example.com", &file).unwrap();
        assert_eq!(given, Credentials::new("user@example.com", "tok123").unwrap());
        let missing = Credentials::from_file("a", folder.path().join("none")).unwrap_err();
        assert!(missing.to_string().contains("none"), "{missing}");
    }
}
