//! Files with users and their secrets, one in each line.
//!
//! Pure: takes bytes, opens nothing.
//!
//! ```text
//! # comment
//! user: password
//! ```

/// Why a line is skipped, or noteworthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum UserLineError {
    /// It has no colon.
    #[error("expected USER: PASSWORD")]
    NoColon,
    /// The user or the password is empty.
    #[error("the user or the password is empty")]
    Empty,
    /// An earlier line has the same user.
    #[error("the user has an earlier line, which is replaced")]
    Repeated,
}

/// The user and the password of a line.
pub(super) type UserLine<'a> = Result<(&'a [u8], &'a [u8]), UserLineError>;

/// All lines with their numbers, without empty ones and comments.
pub(super) fn user_lines(file: &[u8]) -> impl Iterator<Item = (usize, UserLine<'_>)> {
    let lines = file.split(|byte| *byte == b'\n').zip(1..);
    lines.filter_map(|(line, number)| Some((number, entry(line.trim_ascii())?)))
}

fn entry(line: &[u8]) -> Option<UserLine<'_>> {
    if line.is_empty() || line.starts_with(b"#") {
        return None;
    }
    let Some(colon) = memchr::memchr(b':', line) else { return Some(Err(UserLineError::NoColon)) };
    let (user, password) = line.split_at(colon);
    let (user, password) = (user.trim_ascii(), password.get(1..).unwrap_or_default().trim_ascii());
    if user.is_empty() || password.is_empty() {
        return Some(Err(UserLineError::Empty));
    }
    Some(Ok((user, password)))
}
