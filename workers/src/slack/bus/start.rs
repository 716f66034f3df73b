//! The start of a relay, which waits for Slack.

use super::failing::Failing;
use zibrato::daemon::{Exit, Failure, Stop};

/// Tries `begin` until Slack answers. `None` if the program is to stop before.
///
/// # Errors
/// What somebody has to fix: the token, a scope, or the channel.
pub(super) fn once_reachable<T>(
    stop: &Stop,
    channel: &str,
    mut begin: impl FnMut() -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    let mut failing = Failing::at("start");
    loop {
        match begin() {
            Ok(begun) => {
                failing.succeeded(channel);
                return Ok(Some(begun));
            }
            Err(_) if stop.raised() => return Ok(None),
            Err(failure) if failure.exit == Exit::Unavailable => {
                let wait = failing.failed(channel, &failure.message, None);
                if stop.wait(wait) {
                    return Ok(None);
                }
            }
            Err(failure) => return Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::once_reachable;
    use zibrato::daemon::{Exit, Failure, Stop};

    #[test]
    fn it_waits_for_slack_and_ends_for_what_somebody_has_to_fix() {
        let stop = Stop::new().unwrap();
        let mut answers = [Err(Exit::Unavailable), Ok(7)].into_iter();
        let mut begin = || answers.next().unwrap().map_err(|exit| Failure::new(exit, "x"));
        assert!(matches!(once_reachable(&stop, "metrics", &mut begin), Ok(Some(7))));
        let refused = || Err::<(), _>(Failure::new(Exit::Config, "no such channel"));
        assert!(once_reachable(&stop, "metrics", refused).is_err());
        stop.raise();
        let down = || Err::<(), _>(Failure::new(Exit::Unavailable, "x"));
        assert!(matches!(once_reachable(&stop, "metrics", down), Ok(None)));
    }
}
