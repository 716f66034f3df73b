//! The source in a path: a host may be reversed, and its domain removed.
//!
//! Pure.

use crate::carbon::name;

/// How a source becomes a part of a path.
#[derive(Debug, Clone, Default)]
pub(super) struct Host {
    /// `node.example.com` becomes `com.example.node`.
    pub(super) reverse: bool,
    /// The first of these domains that a host ends in is removed. The labels of each.
    pub(super) trim: Vec<Vec<String>>,
}

/// The labels of a host or a domain.
pub(super) fn labels(text: &str) -> Vec<String> {
    let text = text.trim();
    let text = text.strip_suffix('.').unwrap_or(text);
    text.split('.').map(|label| label.trim().to_owned()).collect()
}

impl Host {
    /// The valid parts of a source; empty if all of it is removed.
    pub(super) fn path(&self, source: &str) -> String {
        let mut path = String::new();
        if !self.reverse && self.trim.is_empty() {
            name::push_parts(&mut path, source);
            return path;
        }
        let mut labels = labels(source);
        if let Some(domain) = self.trim.iter().find(|domain| labels.ends_with(domain)) {
            labels.truncate(labels.len() - domain.len());
        }
        if self.reverse {
            labels.reverse();
        }
        name::push_parts(&mut path, &labels.join("."));
        path
    }
}

#[cfg(test)]
mod tests {
    use super::{Host, labels};

    #[test]
    fn a_host_is_reversed_and_its_domain_removed() {
        for (trim, source, expected) in [
            (&[][..], "node.company.tld", "tld.company.node"),
            (&[], "toroid", "toroid"),
            (&[], " node . tld ", "tld.node"),
            (&[], "node.tld.", "tld.node"),
            (&[], "10.0.0.1", "1.0.0.10"),
            (&[], "fe80::1", "fe80::1"),
            (&[], "nöde.tld", "tld.nöde"),
            (&["company.tld"], "node.company.tld", "node"),
            (&["tld", "company.tld"], "node.company.tld", "company.node"),
            (&["company.tld", "tld"], "node.company.tld", "node"),
            (&["other.tld"], "node.company.tld", "tld.company.node"),
            (&["company.tld"], "company.tld", ""),
            (&["company.tld"], "tld", "tld"),
            (&[" company . tld "], "node.company.tld", "node"),
            (&["company.tld"], "node.xcompany.tld", "tld.xcompany.node"),
            (&["company.tld"], "node.Company.tld", "tld.Company.node"),
        ] {
            let trim = trim.iter().map(|domain| labels(domain)).collect();
            let host = Host { reverse: true, trim };
            assert_eq!(host.path(source), expected, "{source:?}");
        }
        let host = Host { reverse: false, trim: vec![labels("tld")] };
        assert_eq!(host.path("node.company.tld"), "node.company");
        assert_eq!(Host::default().path("node.company.tld"), "node.company.tld");
    }
}
