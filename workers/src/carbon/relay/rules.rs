//! The rules of Carbon's relay (`relay-rules.conf`): which destinations a name goes to by patterns.
//!
//! Pure. Rules are tried in their order, and the default is last, wherever it stands. The first rule
//! that matches is the last one, unless it has `continue = true`.

use crate::carbon::address::Address;
use crate::carbon::ini::{self, IniError, Section};
use crate::carbon::pattern::{Case, Pattern};

/// The keys of a section.
const KEYS: [&str; 4] = ["pattern", "continue", "default", "destinations"];

/// Rules, the default last.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    /// Destinations that are none of those given, with the line of the first.
    pub(super) unknown: Vec<(String, usize)>,
}

#[derive(Debug, Clone)]
struct Rule {
    /// `None` matches everything.
    pattern: Option<Pattern>,
    goes_on: bool,
    destinations: Vec<usize>,
}

impl Rules {
    /// The rules of a file with this text. Indexes are those of `known`.
    pub(super) fn parse(text: &str, known: &[Address]) -> Result<Self, IniError> {
        let (mut rules, mut default, mut unknown) = (Vec::new(), None, Vec::new());
        let sections = ini::sections(text)?;
        for section in &sections {
            let name = &section.name;
            if let Some((key, line)) = section.unknown(&KEYS).next() {
                let keys = KEYS.join(", ");
                return Err(IniError::new(
                    line,
                    format!("unknown key `{key}`; the keys are {keys}"),
                ));
            }
            let destinations = destinations(section, known, &mut unknown)?;
            let is_default = section.flag("default")?;
            match (section.value("pattern"), is_default) {
                (Some(_), Some(_)) => {
                    let why = format!("[{name}] has both `pattern` and `default`; omit one");
                    return Err(IniError::new(section.line, why));
                }
                (Some(pattern), None) => {
                    let goes_on = section.flag("continue")?.unwrap_or_default();
                    let pattern = Some(Pattern::read(pattern, Case::Ignored)?);
                    rules.push(Rule { pattern, goes_on, destinations });
                }
                (None, Some(true)) if default.is_some() => {
                    let why = format!("[{name}] is a second section with `default = true`");
                    return Err(IniError::new(section.line, why));
                }
                (None, Some(true)) => {
                    default = Some(Rule { pattern: None, goes_on: false, destinations });
                }
                (None, Some(false)) => {}
                (None, None) => {
                    let why = format!("[{name}] has neither `pattern` nor `default = true`");
                    return Err(IniError::new(section.line, why));
                }
            }
        }
        let missing = || {
            let why = "no section has `default = true`; it says where all other names go";
            IniError::new(text.lines().count().max(1), why)
        };
        rules.push(default.ok_or_else(missing)?);
        Ok(Self { rules, unknown })
    }

    /// The destinations of a name, each once.
    pub(super) fn of(&self, name: &str) -> Vec<usize> {
        let mut chosen = Vec::new();
        for rule in &self.rules {
            if rule.pattern.as_ref().is_none_or(|pattern| pattern.is_in(name)) {
                for destination in &rule.destinations {
                    if !chosen.contains(destination) {
                        chosen.push(*destination);
                    }
                }
                if !rule.goes_on {
                    break;
                }
            }
        }
        chosen
    }

    /// Whether some rule has this destination.
    pub(super) fn uses(&self, destination: usize) -> bool {
        self.rules.iter().any(|rule| rule.destinations.contains(&destination))
    }
}

fn destinations(
    section: &Section,
    known: &[Address],
    unknown: &mut Vec<(String, usize)>,
) -> Result<Vec<usize>, IniError> {
    let name = &section.name;
    let Some((text, line)) = section.value("destinations") else {
        let why = format!("[{name}] has no `destinations`");
        return Err(IniError::new(section.line, why));
    };
    let mut all = Vec::new();
    for text in text.split([',', '\n']).map(str::trim).filter(|text| !text.is_empty()) {
        let address: Address = text.parse().map_err(|why| IniError::new(line, format!("{why}")))?;
        match known.iter().position(|one| one.is_same_destination(&address)) {
            Some(at) => all.push(at),
            None => unknown.push((text.to_owned(), line)),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::Rules;
    use crate::carbon::address::Address;

    fn known() -> Vec<Address> {
        ["h1:2004:a", "h2:2004:a", "h3:2004:a"].iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_first_rule_that_matches_is_the_last_unless_it_continues() {
        let rules = "[d]\ndefault = true\ndestinations = h3:2004:a\n\
                     [a]\npattern = cpu\ndestinations = h1:2004:a\n\
                     [b]\npattern = ^hosts\ndestinations = h2:2004:a, h3:2004:a\ncontinue = yes\n\
                     [off]\ndefault = false\ndestinations = h1:2004:a\n";
        let rules = Rules::parse(rules, &known()).unwrap();
        for (name, expected) in [("hosts.CPU.x", &[0][..]), ("hosts.mem", &[1, 2]), ("other", &[2])]
        {
            assert_eq!(rules.of(name), expected, "{name}");
        }
        assert!(rules.uses(1) && rules.unknown.is_empty());
    }

    #[test]
    fn a_destination_equals_another_in_host_port_and_instance() {
        let rules = "[d]\ndefault = true\ndestinations = h1:2004, h1:2004:b, h2:2005:a, pickle://h3:2004:a\n";
        let rules = Rules::parse(rules, &known()).unwrap();
        assert_eq!(rules.of("x"), [2]);
        let unknown: Vec<_> = rules.unknown.iter().map(|(text, line)| (&**text, *line)).collect();
        assert_eq!(unknown, [("h1:2004", 3), ("h1:2004:b", 3), ("h2:2005:a", 3)]);
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (rules, expected) in [
            ("", "line 1: no section has `default = true`"),
            (
                "[a]\npattern = x\ndestinations = h1:2004:a\n",
                "line 3: no section has `default = true`",
            ),
            ("[a]\npattern = x\n", "line 1: [a] has no `destinations`"),
            (
                "[a]\npattern = (\ndestinations = h1:2004:a\n",
                "line 2: the pattern `(` is not valid: ",
            ),
            (
                "[a]\npattern = x\ndefault = true\ndestinations = h1:2004:a\n",
                "line 1: [a] has both",
            ),
            ("[a]\ndestinations = h1:2004:a\n", "line 1: [a] has neither"),
            ("[a]\npatern = x\ndestinations = h1:2004:a\n", "line 2: unknown key `patern`"),
            (
                "[a]\ndefault = true\ndestinations = h1\n",
                "line 3: `h1` is not an address: the port is missing",
            ),
            (
                "[a]\ndefault = 1\ndestinations = h1:2004:a\n[b]\ndefault = 1\ndestinations = h1:2004:a\n",
                "line 4: [b] is a second section with `default = true`",
            ),
        ] {
            let error = Rules::parse(rules, &known()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
