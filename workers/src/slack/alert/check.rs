//! The command `zibrato-slack rules check`: whether a rules file is valid, and which messages it
//! would have caused.

use super::announce::{Announcer, Carrier, Room};
use super::engine::{Ended, evaluate};
use super::flags::read;
use super::recorded::Entry;
use super::rules::Rules;
use super::state::State;
use crate::slack::format::unescape;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use zibrato::daemon::{CommonFlags, Doubts, Exit, Failure, Output, Program, rfc3339, seconds};
use zibrato::window::{Series, Window};

/// Maximum length of a line of a recorded stream.
const MAX_LINE: u64 = 1 << 20;

/// Maximum number of series of a window.
const MAX_SERIES: usize = 1_000_000;

/// The longest silence that is replayed as empty windows, in milliseconds.
const MAX_SILENCE_MS: u64 = 7 * 86_400_000;

/// Alerts about measurements, in Slack
#[derive(Debug, clap::Parser)]
#[command(name = "zibrato-slack", version, disable_help_subcommand = true)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct RulesProgram {
    #[command(subcommand)]
    task: Task,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Task {
    /// Check rules of alerts
    Rules {
        #[command(subcommand)]
        action: Action,
    },
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Action {
    /// Check a rules file, and say what would have been posted about a recorded stream
    #[command(after_help = "\
Examples:
  zibrato-slack rules check alerts.toml
  zibrato-broker journal dump --lines | zibrato-slack rules check alerts.toml --recorded -
  timeout 600 zibrato-tail --json > stream; zibrato-slack rules check alerts.toml --recorded stream")]
    Check(Check),
}

#[derive(Debug, Clone, clap::Args)]
struct Check {
    /// TOML file with the rules of alerts
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Recorded stream, or `-` for standard input: the output of zibrato-broker journal dump --lines
    /// or of zibrato-tail --json
    #[arg(long, value_name = "FILE")]
    recorded: Option<PathBuf>,

    /// Length of a window, in seconds, as --flush of the worker
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds(1.0..=86_400.0))]
    flush: Duration,
}

impl Program for RulesProgram {
    fn common(&self) -> &CommonFlags {
        &self.common
    }

    fn subcommand_flags(_: &str) -> Option<Vec<String>> {
        Some(Vec::new())
    }

    fn runs(&self) -> bool {
        false
    }

    fn run(self, _: Doubts) -> Result<ExitCode, Failure> {
        let Task::Rules { action: Action::Check(check) } = self.task;
        let rules = read("", &check.file)?;
        let mut out = Output::new();
        let number = rules.rules.len();
        let noun = if number == 1 { "rule" } else { "rules" };
        writeln!(out, "{}: {number} {noun}, valid", check.file.display()).ok();
        for doubt in rules.doubts(check.flush) {
            writeln!(out, "warning: {doubt}").ok();
        }
        if let Some(recorded) = &check.recorded {
            let mut replay = Replay::new(rules, check.flush.as_millis() as u64);
            replay.read(recorded, &mut out)?;
            replay.end(&mut out);
        }
        out.finish().map(|()| Exit::Fine.into())
    }
}

/// Windows of a recorded stream.
struct Replay {
    rules: Rules,
    announcer: Announcer,
    state: State,
    length_ms: u64,
    window: Option<Window>,
    matched: BTreeSet<String>,
    messages: usize,
    mentions: usize,
    windows: usize,
}

impl Replay {
    fn new(rules: Rules, length_ms: u64) -> Self {
        Self {
            rules,
            announcer: Announcer::default(),
            state: State::default(),
            length_ms,
            window: None,
            matched: BTreeSet::new(),
            messages: 0,
            mentions: 0,
            windows: 0,
        }
    }

    fn read(&mut self, file: &Path, out: &mut impl Write) -> Result<(), Failure> {
        let failure = |exit, at: Option<usize>, why: String| {
            let line = at.map_or(String::new(), |at| format!("line {at}: "));
            Failure::new(exit, format!("--recorded {}: {line}{why}", file.display()))
        };
        let opened: Box<dyn Read> = if file.as_os_str() == "-" {
            Box::new(io::stdin())
        } else {
            let file = File::open(file);
            Box::new(file.map_err(|why| failure(Exit::Config, None, why.to_string()))?)
        };
        let mut reader = BufReader::new(opened);
        for number in 1.. {
            let mut line = Vec::new();
            let took = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
            let took = took.map_err(|why| failure(Exit::Io, Some(number), why.to_string()))?;
            if took == 0 {
                break;
            }
            if took as u64 == MAX_LINE {
                let why = format!("it is longer than {MAX_LINE} bytes");
                return Err(failure(Exit::Config, Some(number), why));
            }
            match Entry::read(&String::from_utf8_lossy(&line)) {
                None => {}
                Some(Ok(entry)) => self.take(&entry, out),
                Some(Err(why)) => return Err(failure(Exit::Config, Some(number), why)),
            }
        }
        Ok(())
    }

    /// Adds an entry to its window, after the windows that end before it. An entry of an earlier
    /// window belongs to the current one.
    fn take(&mut self, entry: &Entry, out: &mut impl Write) {
        while let Some(window) = &self.window
            && entry.at_ms >= window.end_ms()
        {
            let end_ms = window.end_ms();
            self.flush(out);
            let is_far = entry.at_ms.saturating_sub(end_ms) > MAX_SILENCE_MS;
            self.window = (!is_far).then(|| Window::new(end_ms, self.length_ms, MAX_SERIES));
        }
        let start_ms = entry.at_ms - entry.at_ms % self.length_ms;
        let length_ms = self.length_ms;
        let window =
            self.window.get_or_insert_with(|| Window::new(start_ms, length_ms, MAX_SERIES));
        entry.fold(window);
    }

    /// Evaluates the window, and prints what would have been posted.
    fn flush(&mut self, out: &mut impl Write) {
        let Some(window) = self.window.take() else { return };
        let (start_ms, length_ms) = (window.start_ms(), window.length_ms());
        let series = window.into_series();
        self.note(&series);
        let ended = Ended { start_ms, length_ms, series: &series };
        evaluate(&mut self.state, &self.rules, ended);
        let room = Room::in_window(length_ms);
        self.announcer.announce(&mut self.state, &self.rules, &Carrier::Webhook, room);
        self.windows += 1;
        for message in std::mem::take(&mut self.state.outbox) {
            let text = message.body["text"].as_str().unwrap_or_default();
            // `<!here> :red_circle: FIRING …`, or without a mention.
            let has_mention = text.starts_with('<');
            let (mentions, text) =
                text.split_once(" :").filter(|_| has_mention).unwrap_or(("", text));
            let words = text.split_once(": ").map_or(text, |(_, words)| words);
            self.messages += 1;
            self.mentions += usize::from(!mentions.is_empty());
            let mention = if mentions.is_empty() { String::new() } else { format!("  {mentions}") };
            let time = rfc3339(ended.end_ms());
            let time = time.get(..19).unwrap_or_default();
            writeln!(out, "{time}Z  {}{mention}", unescape(words)).ok();
        }
    }

    /// Notes which rules have series.
    fn note(&mut self, series: &[Series]) {
        for rule in &self.rules.rules {
            if !self.matched.contains(&rule.name) && series.iter().any(|one| rule.is_about(one)) {
                self.matched.insert(rule.name.clone());
            }
        }
    }

    fn end(&mut self, out: &mut impl Write) {
        self.flush(out);
        for rule in self.rules.rules.iter().filter(|rule| !self.matched.contains(&rule.name)) {
            writeln!(out, "the rule {} matched no series", rule.name).ok();
        }
        let tracks = self.state.tracks.values();
        let firing = tracks.filter(|track| track.firing_ms.is_some()).count();
        let Self { messages, mentions, windows, .. } = self;
        writeln!(
            out,
            "{messages} messages, {mentions} with mentions, in {windows} windows; at the end \
             {firing} alerts fire"
        )
        .ok();
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Replay};
    use crate::slack::alert::file::parse;

    fn replay(rules: &str, stream: &str) -> String {
        let (mut replay, mut out) = (Replay::new(parse(rules).unwrap(), 60_000), Vec::new());
        for line in stream.lines() {
            if let Some(entry) = Entry::read(line) {
                replay.take(&entry.unwrap(), &mut out);
            }
        }
        replay.end(&mut out);
        String::from_utf8(out).unwrap()
    }

    const RULES: &str = "[[rule]]\nname = 'slow'\nmetric = 'q<*'\nabove = 0.2\nsummary = 'max'\n\
        mention = ['@here']\n[[rule]]\nname = 'none'\nmetric = 'x'\nabove = 1\n";

    #[test]
    fn lines_of_the_journal_and_json_of_the_tail_cause_the_same() {
        let lines = "info|c|n|1|1795176000|a\n# 7: 1 gauges repeated without readings\n\
            info|t|q<1|0.1|1795176010|a\tdc=fra\ninfo|t|q<1|0.231|1795176065.5|a\tdc=fra\n\
            info|t|q<1|0.1|1795176125|a\tdc=fra\n";
        let timer = |at: u64, max: f64| {
            format!(
                r#"{{"received_ms":{at},"level":"info","kind":"timer","source":"a","name":"q<1","tags":{{"dc":"fra"}},"count":2,"sum":0.2,"min":0.1,"max":{max}}}"#
            )
        };
        let json = [timer(1_795_176_010_000, 0.1), timer(1_795_176_065_500, 0.231)].join("\n")
            + "\n"
            + &timer(1_795_176_125_000, 0.1);
        let expected = "\
2026-11-20T12:02:00Z  FIRING slow: q<1 on a is 231 ms (threshold > 200 ms)  <!here>
2026-11-20T12:03:00Z  RESOLVED slow: q<1 on a is 100 ms (threshold > 200 ms)
the rule none matched no series
2 messages, 1 with mentions, in 3 windows; at the end 0 alerts fire
";
        assert_eq!(replay(RULES, lines), expected);
        assert_eq!(replay(RULES, &json), expected);
    }

    #[test]
    fn a_gap_is_replayed_as_silence() {
        let rules = "[[rule]]\nname = 'gone'\nmetric = '*'\nabsent = true\nfor = 300\n";
        let said = replay(rules, "info|c|n|1|1795176000|a\ninfo|c|n|1|1795177200|a\n");
        assert!(
            said.starts_with("2026-11-20T12:06:00Z  FIRING gone: n on a has no data\n"),
            "{said}"
        );
        assert!(said.contains("STILL FIRING") && said.contains("RESOLVED"), "{said}");
    }

    #[test]
    fn a_line_that_is_none_is_a_mistake() {
        for (line, why) in [
            ("info|c|n|x|1|a", "expected level|type|name|value|time|source"),
            ("{}", "`received_ms` is missing"),
            (
                r#"{"received_ms":18446744073709551615,"kind":"set","source":"a","name":"n"}"#,
                "after the year 9999",
            ),
            ("{", "EOF"),
        ] {
            let said = Entry::read(line).unwrap().unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
