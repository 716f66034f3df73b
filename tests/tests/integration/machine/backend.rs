//! The count of orders from web-1 at each backend.

use std::path::Path;
use zibrato_tests::Carbon;
use zibrato_tests::fake::{FakeLibrato, FakeSlack};

#[derive(Debug)]
pub(super) enum Backend {
    Carbon(Carbon),
    Librato(FakeLibrato),
    Slack(FakeSlack),
    /// The output of the program.
    Output,
}

impl Backend {
    /// The sum of the data in the backend, and in the dead letters of its worker.
    pub(super) fn arrived(&self, letters: &Path) -> f64 {
        match self {
            Self::Carbon(carbon) => carbon.sum("web-1.orders"),
            Self::Librato(librato) => {
                let gauges = librato.gauges();
                let orders = gauges.get(&("web-1".to_owned(), "orders".to_owned()));
                orders.map_or(0.0, |times| times.values().map(|total| total.sum).sum::<f64>())
                    + in_letters(letters, in_payload)
            }
            Self::Slack(slack) => {
                let blocks = slack.messages().into_iter().map(|message| message.blocks.to_string());
                blocks.map(|blocks| in_digest(&blocks)).sum::<f64>()
                    + in_letters(letters, in_digest)
            }
            Self::Output => 0.0,
        }
    }
}

/// The sum of the data in dead letters.
fn in_letters(folder: &Path, in_letter: impl Fn(&str) -> f64) -> f64 {
    let letters = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = letters.map(|letter| letter.path());
    let dead = paths.filter(|path| path.extension().is_some_and(|extension| extension == "dead"));
    let letters = dead.map(|path| std::fs::read_to_string(path).unwrap_or_default());
    // The head contains names of series too; the body begins after an empty line.
    letters.map(|letter| letter.split_once("\n\n").map_or(0.0, |(_, body)| in_letter(body))).sum()
}

/// The sum of the orders in a body for Librato.
fn in_payload(text: &str) -> f64 {
    let orders = text.match_indices("orders");
    orders.filter_map(|(at, _)| number_after(text.split_at(at).1, r#""value":"#)).sum()
}

/// The sum of the orders in the lines of `zibrato-tail --json`.
pub(super) fn in_output(text: &str) -> f64 {
    let orders = text.lines().filter(|line| line.contains(r#""name":"orders""#));
    orders.filter_map(|line| number_after(line, r#""value":"#)).sum()
}

/// The sum of the orders in the blocks of a digest: `*orders* _web-1_ ˋ▁▂ˋ 12 (12/s)`.
fn in_digest(text: &str) -> f64 {
    let orders = text.match_indices("*orders* _web-1_ ").filter_map(|(at, _)| {
        let (_, rest) = text.split_at(at);
        let mut parts = rest.splitn(3, '`').skip(2);
        number_after(parts.next()?, " ")
    });
    orders.sum()
}

/// The number after the first of these words.
fn number_after(text: &str, word: &str) -> Option<f64> {
    let (_, rest) = text.split_once(word)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    rest.split_at(end).0.parse().ok()
}
