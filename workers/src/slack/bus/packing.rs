//! Packs lines into messages that Slack does not split.
//!
//! Pure.

use crate::slack::format::escape;

/// The longest message, in characters after escaping. Slack splits a text of more than about 4,000,
/// possibly in the middle of a line.
pub const MAX_MESSAGE_CHARS: usize = 3_900;

/// The messages for some lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packed {
    /// The texts, escaped, in the order of the lines.
    pub messages: Vec<String>,
    /// The lines that do not fit into a message, as they were given.
    pub too_long: Vec<String>,
}

/// Packs lines into messages of at most so many characters. A message ends at the end of a line.
///
/// ```
/// use zibrato_workers::slack::bus::pack;
/// assert_eq!(pack(["a 1 60", "b 2 60", "c 3 60"], 13).messages, ["a 1 60\nb 2 60", "c 3 60"]);
/// ```
#[must_use]
pub fn pack<S: AsRef<str>>(lines: impl IntoIterator<Item = S>, most_chars: usize) -> Packed {
    let mut packed = Packed::default();
    let (mut message, mut used) = (String::new(), 0);
    for line in lines {
        let escaped = escape(line.as_ref());
        let chars = escaped.chars().count();
        if chars > most_chars {
            packed.too_long.push(line.as_ref().to_owned());
            continue;
        }
        if !message.is_empty() && used + 1 + chars > most_chars {
            packed.messages.push(std::mem::take(&mut message));
            used = 0;
        }
        if !message.is_empty() {
            message.push('\n');
            used += 1;
        }
        message.push_str(&escaped);
        used += chars;
    }
    if !message.is_empty() {
        packed.messages.push(message);
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::pack;
    use crate::slack::bus::decode;
    use proptest::prelude::*;

    #[test]
    fn messages_are_filled_up_to_the_limit() {
        let lines = (0..250).map(|i| format!("servers.web{i:03}.cpu.user {i} 1500000000"));
        let packed = pack(lines, 4000);
        let chars: Vec<_> = packed.messages.iter().map(|text| text.chars().count()).collect();
        assert_eq!(chars, [3984, 3977, 1676]);
        assert_eq!(pack([""; 0], 10), pack(["x".repeat(11)], 10).messages_only());
    }

    impl super::Packed {
        fn messages_only(self) -> Self {
            assert_eq!(self.too_long.len(), 1);
            Self { too_long: Vec::new(), ..self }
        }
    }

    proptest! {
        #[test]
        fn every_line_that_fits_is_in_one_message(
            lines in prop::collection::vec("[a-c&<>日 ]{1,12}", 0..40),
            most in 1_usize..60,
        ) {
            let packed = pack(&lines, most);
            prop_assert!(packed.messages.iter().all(|text| (1..=most).contains(&text.chars().count())));
            let all = packed.messages.iter().flat_map(|text| text.split('\n').map(decode));
            let (mut all, mut rejected) = (all, packed.too_long.into_iter().peekable());
            for line in lines {
                if rejected.next_if_eq(&line).is_none() {
                    prop_assert_eq!(all.next(), Some(line));
                }
            }
            prop_assert_eq!((all.next(), rejected.next()), (None, None));
        }
    }
}
