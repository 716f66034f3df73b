//! Librato and AppOptics have ended. Their addresses do not resolve, or answer with a notice.
//!
//! Pure.

/// The hosts of the services that have ended.
const HOSTS: [&str; 3] = ["metrics-api.librato.com", "api.librato.com", "api.appoptics.com"];

/// Parts of notices about the end of a service, in lower case.
const NOTICES: [&str; 8] = [
    "end of service",
    "end-of-service",
    "end of life",
    "end-of-life",
    "discontinued",
    "decommissioned",
    "has been retired",
    "no longer available",
];

/// What has ended, and the ways on.
pub(super) const WAYS_ON: &str = "Librato and AppOptics ended between 2025-11-30 and 2026-01-31. \
     Deliver to a compatible server with --api-url URL, to the Librato intake of a Zibrato broker \
     (zibrato-broker --librato HOST:PORT), or to Graphite with zibrato-carbon";

/// Whether a host belongs to a service that has ended.
pub(super) fn is_of_ended(host: &str) -> bool {
    HOSTS.iter().any(|known| host.trim_end_matches('.').eq_ignore_ascii_case(known))
}

/// Whether an answer is a notice about the end of a service.
pub(super) fn is_notice(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    NOTICES.iter().any(|notice| lower.contains(notice))
}

#[cfg(test)]
mod tests {
    use super::{is_notice, is_of_ended};

    #[test]
    fn hosts_and_notices_of_the_end_are_known() {
        for (host, expected) in [
            ("metrics-api.librato.com", true),
            ("Metrics-API.librato.com.", true),
            ("api.appoptics.com", true),
            ("127.0.0.1", false),
            ("librato.company.com", false),
        ] {
            assert_eq!(is_of_ended(host), expected, "{host}");
        }
        assert!(is_notice("AppOptics reached End of Service on January 31"));
        assert!(!is_notice("params: name: is invalid"));
    }
}
