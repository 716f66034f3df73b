//! Z85, the text form of keys: five characters for four bytes. Decision 34 says why no library does
//! this.

/// The characters, in the order of their values.
const ALPHABET: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// Length of a key, in bytes.
pub(super) const KEY_BYTES: usize = 32;

/// Length of a key as Z85, in characters.
pub(super) const KEY_CHARACTERS: usize = KEY_BYTES / 4 * 5;

/// Encodes a key.
pub(super) fn encode(key: &[u8; KEY_BYTES]) -> String {
    let mut text = String::with_capacity(KEY_CHARACTERS);
    for four in key.chunks_exact(4) {
        let number = four.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
        for place in [85_u32.pow(4), 85_u32.pow(3), 85_u32.pow(2), 85, 1] {
            text.push(char::from(ALPHABET[(number / place % 85) as usize]));
        }
    }
    text
}

/// Why a text is not a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It has this number of characters.
    Length(usize),
    /// The character at this position, counted from 1, is not in the alphabet, or not possible
    /// there.
    Character(usize),
}

/// Decodes a key.
pub(super) fn decode(text: &str) -> Result<[u8; KEY_BYTES], Wrong> {
    let count = text.chars().count();
    if count != KEY_CHARACTERS {
        return Err(Wrong::Length(count));
    }
    let mut key = [0; KEY_BYTES];
    let mut characters = text.chars().zip(1..);
    for four in key.chunks_exact_mut(4) {
        let mut number = 0_u64;
        let mut last = 0;
        for (character, place) in characters.by_ref().take(5) {
            let value = ALPHABET.iter().position(|known| char::from(*known) == character);
            number = number * 85 + value.ok_or(Wrong::Character(place))? as u64;
            last = place;
        }
        let number = u32::try_from(number).map_err(|_| Wrong::Character(last))?;
        four.copy_from_slice(&number.to_be_bytes());
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::{Wrong, decode, encode};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_key_is_decoded_unchanged_and_libzmq_encodes_the_same_text(key: [u8; 32]) {
            let text = encode(&key);
            prop_assert_eq!(&text, &zmq::z85_encode(&key).unwrap());
            prop_assert_eq!(decode(&text), Ok(key));
        }

        #[test]
        fn no_text_causes_a_panic(text in ".{0,60}") {
            if let Ok(key) = decode(&text) {
                prop_assert_eq!(encode(&key), text);
            }
        }
    }

    #[test]
    fn errors_name_the_wrong_character() {
        assert_eq!(decode(""), Err(Wrong::Length(0)));
        assert_eq!(decode(&"0".repeat(39)), Err(Wrong::Length(39)));
        assert_eq!(decode(&"ä".repeat(40)), Err(Wrong::Character(1)));
        assert_eq!(decode(&("0".repeat(20) + "~" + &"0".repeat(19))), Err(Wrong::Character(21)));
        // Five times the highest character exceeds four bytes.
        assert_eq!(decode(&("0".repeat(35) + "#####")), Err(Wrong::Character(40)));
    }
}
