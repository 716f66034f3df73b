//! The macros' own rules for literals are the same as those of `zibrato`.

#[path = "../../../../zibrato-macros/src/check.rs"]
mod check;

use proptest::prelude::*;
use zibrato::{check_level, check_name, check_unit};

fn agree(text: &str) {
    let level = check_level(text).err().map(zibrato::TextProblem::message);
    assert_eq!(check::level_problem(text), level, "the level {text:?}");
    let name = check_name(text).err().map(zibrato::TextProblem::message);
    assert_eq!(check::name_problem(text), name, "the name {text:?}");
    let unit = check_unit(text).err().map(zibrato::TextProblem::message);
    assert_eq!(check::unit_problem(text), unit, "the unit {text:?}");
}

#[test]
fn both_checks_agree_on_every_character() {
    (0..=0x0010_ffff).filter_map(char::from_u32).for_each(|c| agree(c.encode_utf8(&mut [0; 4])));
}

#[test]
fn both_checks_agree_on_what_is_reserved() {
    for text in ["", "*", "**", "z", "zb", "zb!", "zb!x", "zb1", "zb12", "zb1x", "zbx", "Zb1"] {
        agree(text);
    }
    for length in [32, 33, 64, 65, 255, 256] {
        agree(&"n".repeat(length));
        agree(&"é".repeat(length / 2));
        agree(&format!("{}|", "n".repeat(length - 1)));
    }
}

proptest! {
    #[test]
    fn both_checks_agree(text in "(zb|)[!*0-9a-z.|\u{85}\u{2028}é-]{0,70}") {
        agree(&text);
    }
}
