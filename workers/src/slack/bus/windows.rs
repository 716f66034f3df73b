//! `--mode bus`: windows as messages with the lines that `zibrato-carbon` would write.
//!
//! A window gives the same messages whenever it is delivered.

use super::grammar::read;
use super::markup::decode;
use super::packing::{MAX_MESSAGE_CHARS, pack};
use super::ts::Ts;
use crate::backend::Payload;
use crate::carbon::{GaugeParts, Lines, NameFlags, TimerParts};
use crate::once::Once;
use crate::slack::format::escape;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use zibrato::daemon::{Exit, Failure, LogLimit, number};
use zibrato::window::Window;

/// The messages that a relay deletes a minute.
const DEFAULT_POSTS: f64 = 45.0;

/// The reasons for lines that the bus cannot carry: their names, and that there are too many.
const NOT_ON_BUS: &str = "not_on_bus";
const TOO_MANY: &str = "too_many";

/// Maximum number of characters that a window puts on the bus, so that memory is bounded: 10,000
/// messages, about a million lines. It takes nearly four hours to post them.
const MAX_CHARS: usize = 10_000 * MAX_MESSAGE_CHARS;

/// The flags of `--mode bus`.
#[derive(Debug, Clone, clap::Args)]
#[non_exhaustive]
#[command(next_help_heading = "Metric bus (--mode bus)")]
pub struct BusModeFlags {
    /// Messages to post a minute with --mode bus. Slack accepts 60 in a channel, but a relay deletes
    /// only about 45
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_POSTS, value_parser = number("a number of messages", 0.1..=60_000.0))]
    pub bus_posts: f64,

    /// Statistics to deliver for each timer and histogram with --mode bus, as with zibrato-carbon
    /// [default: count,sum,mean,min,max,p50,p95,p99,stddev]
    #[arg(long, value_name = "PARTS")]
    pub timer_parts: Option<TimerParts>,

    /// Values to deliver for each gauge with --mode bus, as with zibrato-carbon [default: last;
    /// last,max for names that end in .in_flight]
    #[arg(long, value_name = "PARTS")]
    pub gauge_parts: Option<GaugeParts>,

    /// The flags about names.
    #[command(flatten)]
    pub names: NameFlags,
}

impl Default for BusModeFlags {
    fn default() -> Self {
        let (timer_parts, gauge_parts) = (None, None);
        Self { bus_posts: DEFAULT_POSTS, timer_parts, gauge_parts, names: NameFlags::default() }
    }
}

impl BusModeFlags {
    /// # Errors
    /// If flags of the bus are given for another mode.
    pub(crate) fn refuse(&self) -> Result<(), Failure> {
        let is_given = self.timer_parts.is_some() || self.gauge_parts.is_some();
        if !is_given && self.bus_posts == DEFAULT_POSTS && self.names == NameFlags::default() {
            return Ok(());
        }
        let why = "--bus-posts, --timer-parts, --gauge-parts and the flags about names are for \
                   --mode bus; leave them out, or give --mode bus";
        Err(Failure::new(Exit::Config, why))
    }

    /// Time between two messages.
    pub(crate) fn pace(&self) -> Duration {
        Duration::from_secs_f64(60.0 / self.bus_posts.max(0.1))
    }
}

/// Converts windows to messages, and tells if there is more than Slack accepts.
#[derive(Debug)]
pub(crate) struct BusWindows {
    lines: Lines,
    /// Time between two messages.
    pace: Duration,
    /// Maximum number of characters of a window.
    most_chars: usize,
    /// Number of lines that the bus cannot carry because of their names, since the start.
    left_out: u64,
    /// Number of lines beyond the maximum, since the start.
    too_many: u64,
    once: Once,
    /// What is wrong if the last window was too large.
    too_much: Option<String>,
    limit: LogLimit<60>,
}

impl BusWindows {
    /// # Errors
    /// If the flags contradict each other.
    pub(crate) fn new(flags: BusModeFlags, pace: Duration) -> Result<Self, Failure> {
        let BusModeFlags { names, timer_parts, gauge_parts, .. } = flags;
        Ok(Self {
            lines: Lines::new(&names, timer_parts, gauge_parts)?,
            pace,
            most_chars: MAX_CHARS,
            left_out: 0,
            too_many: 0,
            once: Once::default(),
            too_much: None,
            limit: LogLimit::default(),
        })
    }

    /// The texts of the messages, each with the number of its series.
    pub(crate) fn messages(&mut self, window: Window) -> Vec<(String, usize)> {
        let (stamp, length) = (window.stamp(), Duration::from_millis(window.length_ms()));
        let payloads = self.lines.of(window);
        let series: usize = payloads.iter().map(|payload| payload.series).sum();
        let (mut all, mut carried, mut chars) = (0, 0, 0);
        // A payload is freed when its lines are packed.
        let lines = payloads.into_iter().flat_map(|payload| {
            let body = String::from_utf8_lossy(&payload.body);
            body.lines().map(str::to_owned).collect::<Vec<_>>()
        });
        let lines = lines.filter(|line| {
            all += 1;
            if !is_carried(line) {
                self.leave_out(line, stamp);
                return false;
            }
            carried += 1;
            chars += line.len() + 1;
            if chars > self.most_chars {
                self.too_many += 1;
            }
            chars <= self.most_chars
        });
        let messages = pack(lines, MAX_MESSAGE_CHARS).messages;
        self.compare(carried, messages.len(), length);
        let (mut lines, mut counted) = (0, 0);
        let with_series = messages.into_iter().map(|text| {
            lines += text.lines().count();
            let series = series * lines / all.max(1) - counted;
            counted += series;
            (text, series)
        });
        with_series.collect()
    }

    /// Counts a line whose name the bus cannot carry, and logs each name once.
    fn leave_out(&mut self, line: &str, stamp: u64) {
        self.left_out += 1;
        let name = line.split(' ').next().unwrap_or_default();
        if self.once.is_news(NOT_ON_BUS, name) {
            let why = "a relay would not take this name for a metric: it is longer than 255 bytes, \
                       or has a character that may be mark-up or chat";
            tracing::warn!(event = NOT_ON_BUS, stamp, name, why);
        }
    }

    /// Tells if the messages of a window take longer than it lasts.
    fn compare(&mut self, lines: usize, messages: usize, length: Duration) {
        let needed = self.pace.saturating_mul(u32::try_from(messages).unwrap_or(u32::MAX));
        if needed <= length {
            self.too_much = None;
            if self.limit.is_over() {
                tracing::info!(event = "bus_fits_again", lines, messages);
            }
            return;
        }
        let (needed_s, window_s) = (needed.as_secs_f64(), length.as_secs_f64());
        if let Some(left_out) = self.limit.admit(Instant::now()) {
            let what = "Slack accepts no more messages, so delivery falls behind, and what waits for \
                        longer than the broker keeps it is lost; deliver fewer --levels or \
                        --timer-parts, or give a longer --flush";
            tracing::warn!(
                event = "bus_too_slow",
                lines,
                messages,
                needed_s,
                window_s,
                left_out,
                what
            );
        }
        self.too_much = Some(format!(
            "a window of {window_s} s has {lines} lines for the bus, which takes {needed_s:.0} s to \
             post them; deliver fewer --levels or --timer-parts, or give a longer --flush"
        ));
    }

    /// What is wrong if the last window was too large.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.too_much.clone()
    }

    /// Lines that were left out, by reason.
    pub(crate) fn omitted(&self) -> Vec<(&'static str, u64)> {
        let omitted = [(NOT_ON_BUS, self.left_out), (TOO_MANY, self.too_many)];
        omitted.into_iter().filter(|(_, lines)| *lines > 0).collect()
    }

    pub(crate) const fn needs_readings(&self) -> bool {
        self.lines.needs_readings()
    }

    /// The halves of a message; `None` if it has only one series.
    pub(crate) fn split(&self, payload: &Payload) -> Option<[Payload; 2]> {
        let (body, lines) = parts(payload)?;
        let halves = self.lines.split(&lines)?;
        Some(halves.map(|half| {
            let text = String::from_utf8_lossy(&half.body);
            let mut body = body.clone();
            body["text"] = json!(escape(text.trim_end()));
            Payload::new(body.to_string().into_bytes(), half.series)
        }))
    }

    /// The first names in a message.
    pub(crate) fn names(&self, payload: &Payload, most: usize) -> Vec<String> {
        parts(payload).map(|(_, lines)| self.lines.names(&lines, most)).unwrap_or_default()
    }
}

/// The body of a message for `chat.postMessage`.
pub(crate) fn body(channel: &str, text: &str) -> Value {
    json!({
        "channel": channel, "text": text, "mrkdwn": false, "parse": "none",
        "unfurl_links": false, "unfurl_media": false,
    })
}

/// The body of a message, and its lines as they are for Carbon.
fn parts(payload: &Payload) -> Option<(Value, Payload)> {
    let body: Value = serde_json::from_slice(&payload.body).ok()?;
    let lines = decode(body["text"].as_str()?) + "\n";
    Some((body, Payload::new(lines.into_bytes(), payload.series)))
}

/// Whether a relay takes a line for a metric.
fn is_carried(line: &str) -> bool {
    let text = escape(line);
    text.chars().count() <= MAX_MESSAGE_CHARS && read(&text, &Ts::at_ms(0)).is_all_metrics()
}

#[cfg(test)]
mod tests {
    use super::{BusModeFlags, BusWindows, body, is_carried};
    use crate::backend::{Backend as _, Payload};
    use crate::carbon::Carbon;
    use crate::slack::bus::{MAX_MESSAGE_CHARS, Ts, read};
    use std::time::Duration;
    use zibrato::window::Window;
    use zibrato::wire::Line;

    const START_MS: u64 = 1_700_000_040_000;

    fn windows(pace_ms: u64) -> BusWindows {
        BusWindows::new(BusModeFlags::default(), Duration::from_millis(pace_ms)).unwrap()
    }

    fn window(lines: &[String]) -> Window {
        let mut window = Window::new(START_MS, 60_000, 100_000);
        lines.iter().for_each(|line| window.fold_line(&Line::decode(line.as_bytes()).unwrap()));
        window
    }

    fn lines(many: usize) -> Vec<String> {
        let one = |i: usize| match i % 3 {
            0 => format!("info|c|a&b.n{i}|{i}|1|web-1"),
            1 => format!("info|g|shop.n{i}|{}|1|web-1", i as f64 / 7.0),
            _ => format!("info|t|shop.n{i}|0.25|1|web-1"),
        };
        (0..many).map(one).collect()
    }

    #[test]
    fn the_points_are_those_of_carbon_and_each_series_is_counted_once() {
        let lines = lines(1_000);
        let mut carbon = Carbon::to("127.0.0.1:2003".parse().unwrap());
        let payloads = carbon.payloads(window(&lines));
        let expected: Vec<_> = payloads.iter().flat_map(|payload| payload.body.clone()).collect();
        let messages = windows(1).messages(window(&lines));
        assert!(messages.iter().all(|(text, _)| text.chars().count() <= MAX_MESSAGE_CHARS));
        assert_eq!(messages.iter().map(|(_, series)| series).sum::<usize>(), 1_000);
        let read = messages.iter().map(|(text, _)| read(text, &Ts::at_ms(1)));
        let points = read.flat_map(|contents| {
            assert!(contents.is_all_metrics(), "{:?}", contents.rejected);
            contents.points
        });
        let points: Vec<_> = points.collect();
        let points: String = points.iter().map(|point| point.line() + "\n").collect();
        assert_eq!(points, String::from_utf8(expected).unwrap());
        // A window that is delivered again has the same messages.
        assert_eq!(windows(1).messages(window(&lines)), messages);
    }

    #[test]
    fn what_a_relay_would_not_read_is_left_out_and_counted() {
        let mut windows = windows(1);
        let long = format!("info|c|{}.{}|1|1|a", "x".repeat(200), "y".repeat(54));
        let names = ["info|c|a<b>|1|1|a", "info|c|logins|1|1|#a", &long, "info|c|b|1|1|a"];
        let messages = windows.messages(window(&names.map(str::to_owned)));
        assert_eq!(messages, [("a.b 1 1700000040".to_owned(), 1)]);
        assert_eq!(windows.omitted(), [("not_on_bus", 3)]);
        assert!(is_carried("a;route=/x/:id;q=[1]* 1e-7 1700000040"));
    }

    #[test]
    fn a_window_that_takes_longer_than_it_lasts_is_told() {
        let mut windows = windows(1_333);
        windows.messages(window(&lines(100)));
        assert_eq!(windows.trouble(), None);
        windows.messages(window(&lines(10_000)));
        let why = windows.trouble().unwrap();
        assert!(why.contains("36664 lines") && why.contains("longer --flush"), "{why}");
        windows.messages(window(&lines(100)));
        assert_eq!(windows.trouble(), None);
    }

    #[test]
    fn a_window_has_at_most_so_many_messages_and_the_other_lines_are_counted() {
        let mut windows = windows(1);
        windows.most_chars = 10 * MAX_MESSAGE_CHARS;
        let messages = windows.messages(window(&lines(3_000)));
        assert!((10..=12).contains(&messages.len()), "{}", messages.len());
        let carried: usize = messages.iter().map(|(text, _)| text.lines().count()).sum();
        assert_eq!(windows.omitted(), [("too_many", 11_000 - carried as u64)]);
        let series: usize = messages.iter().map(|(_, series)| series).sum();
        assert!(series > 0 && series < 3_000, "{series}");
    }

    #[test]
    fn a_rejected_message_is_split_between_series() {
        let mut windows = windows(1);
        let (text, series) = windows.messages(window(&lines(9))).remove(0);
        let body = body("C1", &text).to_string();
        let whole = Payload::new(body.into_bytes(), series);
        let (mut open, mut alone) = (vec![whole.clone()], Vec::new());
        while let Some(payload) = open.pop() {
            match windows.split(&payload) {
                Some([left, right]) => open.extend([right, left]),
                None => alone.extend(windows.names(&payload, 9)),
            }
        }
        assert_eq!((alone.len(), alone.clone()), (9, windows.names(&whole, 20)));
        assert!(alone.contains(&"web-1.a&b.n0".to_owned()), "{alone:?}");
    }

    #[test]
    fn flags_of_the_bus_are_refused_without_it() {
        assert!(BusModeFlags::default().refuse().is_ok());
        let mut flags = BusModeFlags::default();
        flags.names.prefix = "apps".to_owned();
        assert!(flags.refuse().unwrap_err().message.contains("--mode bus"));
    }
}
