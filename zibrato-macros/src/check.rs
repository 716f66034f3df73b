//! The rules for levels, names, sources and units, so that an error points at an invalid literal.
//!
//! They repeat `zibrato::check_level`, `check_name` and `check_unit`, because this crate is built before
//! `zibrato` and cannot call them. Both checks are applied, so if a rule is missing here, only the
//! error is less precise. The test `both_checks_agree` in `tests/` keeps them equal.

/// Maximum length of a name or source, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 255;

/// Maximum length of a level, in bytes.
pub(crate) const MAX_LEVEL_BYTES: usize = 64;

/// Maximum length of a unit, in bytes.
pub(crate) const MAX_UNIT_BYTES: usize = 32;

/// The problem with `level` as a predicate, to follow "the level …".
pub(crate) fn level_problem(level: &str) -> Option<&'static str> {
    if let Some(problem) = problem(level, MAX_LEVEL_BYTES) {
        return Some(problem);
    }
    is_reserved(level).then_some("is reserved for the protocol; choose another word")
}

/// The problem with `name` as a predicate, to follow "the name …" or "the source …".
pub(crate) fn name_problem(name: &str) -> Option<&'static str> {
    problem(name, MAX_NAME_BYTES)
}

/// The problem with `unit` as a predicate, to follow "the unit …".
pub(crate) fn unit_problem(unit: &str) -> Option<&'static str> {
    problem(unit, MAX_UNIT_BYTES)
}

fn problem(text: &str, longest: usize) -> Option<&'static str> {
    if text.is_empty() {
        return Some("is empty");
    }
    if text.len() > longest {
        return Some("is too long (a level may have 64 bytes, a name or source 255, a unit 32)");
    }
    text.chars().find_map(|c| match c {
        '|' => Some("contains `|`, which separates fields on the wire; use `.` or `-`"),
        '\u{2028}' | '\u{2029}' => Some("contains a control character or a line break"),
        c if c.is_control() => Some("contains a control character or a line break"),
        _ => None,
    })
}

/// `*`, the control topics `zb!…`, and the batch topics `zb1`, `zb2` … of each version.
fn is_reserved(level: &str) -> bool {
    let Some(rest) = level.strip_prefix("zb") else { return level == "*" };
    let is_version = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    rest.starts_with('!') || is_version
}
