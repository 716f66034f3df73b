//! Reads the issuer in a certificate, for errors about authorities that are not trusted.
//!
//! Pure. A certificate is DER: elements of a tag, a length and a content.

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT: u8 = 0x06;
/// The version of a certificate, which old ones do not have.
const VERSION: u8 = 0xA0;
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0A];

/// The issuer in a certificate: its common name, or its organisation.
pub(crate) fn issuer_in(certificate: &[u8]) -> Option<String> {
    let whole = of(SEQUENCE, certificate)?.0;
    let mut rest = of(SEQUENCE, whole)?.0;
    if rest.first() == Some(&VERSION) {
        rest = of(VERSION, rest)?.1;
    }
    // The serial number and the algorithm of the signature.
    rest = of(0x02, rest)?.1;
    rest = of(SEQUENCE, rest)?.1;
    let mut name = of(SEQUENCE, rest)?.0;
    let mut found = None;
    while let Some((part, after)) = of(SET, name) {
        name = after;
        let pair = of(SEQUENCE, part)?.0;
        let (kind, text) = of(OBJECT, pair)?;
        let text = of(*text.first()?, text)?.0;
        let text = || String::from_utf8_lossy(text).into_owned();
        if kind == COMMON_NAME {
            return Some(text());
        }
        if kind == ORGANISATION {
            found = Some(text());
        }
    }
    found
}

/// The content of the first element, which must have this tag, and the rest.
fn of(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    if *found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7F => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::issuer_in;
    use proptest::prelude::*;

    fn element(tag: u8, content: &[&[u8]]) -> Vec<u8> {
        let content = content.concat();
        [&[tag, 0x82, (content.len() >> 8) as u8, content.len() as u8], &content[..]].concat()
    }

    #[test]
    fn the_common_name_takes_precedence_over_the_organisation() {
        let part = |kind: u8, text: &str| {
            let object = element(0x06, &[&[0x55, 0x04, kind]]);
            element(0x31, &[&element(0x30, &[&object, &element(0x0C, &[text.as_bytes()])])])
        };
        let certificate = |version: &[u8], name: &[&[u8]]| {
            let (serial, algorithm) = (element(0x02, &[&[7]]), element(0x30, &[]));
            element(0x30, &[&element(0x30, &[version, &serial, &algorithm, &element(0x30, name)])])
        };
        let version = element(0xA0, &[&[2, 1, 2]]);
        let (common, organisation) = (part(3, "Company Root"), part(10, "Company"));
        for (certificate, expected) in [
            (certificate(&version, &[&organisation, &common]), Some("Company Root")),
            (certificate(&[], &[&common]), Some("Company Root")),
            (certificate(&version, &[&organisation]), Some("Company")),
            (certificate(&version, &[]), None),
        ] {
            assert_eq!(issuer_in(&certificate).as_deref(), expected);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let found = issuer_in(&bytes);
            prop_assert!(found.is_none_or(|name| name.len() <= 3 * bytes.len()));
        }
    }
}
