//! The commands `check`, which connects to each destination, and `send`, which sends one point.

use crate::backend::{Backend, BackendProgram, Opened, Reached, Target};
use crate::deliver::causes;
use crate::program::probe;
use std::io::Write;
use zibrato::clock::unix_ms;
use zibrato::daemon::{Exit, Failure};
use zibrato::window::Window;
use zibrato::wire::{BatchReader, BatchWriter};
use zibrato::{DEFAULT_SOURCE, Gauge};

/// A point to send.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Point {
    /// Name, such as logins, with Graphite's tags, if there are any: logins;dc=fra. The flags about
    /// names apply
    #[arg(value_name = "NAME")]
    name: String,

    /// Value
    #[arg(value_name = "VALUE", allow_negative_numbers = true, value_parser = value)]
    value: f64,

    /// Unix time in whole seconds [default: now]
    #[arg(value_name = "TIME", value_parser = time)]
    time: Option<u64>,

    /// Source of the point
    #[arg(long, value_name = "SOURCE", default_value = DEFAULT_SOURCE, hide_default_value = true)]
    source: String,
}

/// The latest time that a point may have: the year 2200.
const LATEST: u64 = 7_258_118_400;

#[derive(Debug, thiserror::Error)]
enum PointError {
    #[error("expected a finite number, such as 3.5")]
    Value,
    #[error("expected Unix time in whole seconds, such as 1700000000, or nothing for now")]
    Time,
}

fn value(text: &str) -> Result<f64, PointError> {
    text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or(PointError::Value)
}

fn time(text: &str) -> Result<u64, PointError> {
    text.parse().ok().filter(|time| *time <= LATEST).ok_or(PointError::Time)
}

impl Point {
    /// A window of a second with this point as a reading of a gauge.
    fn window(&self) -> Result<Window, Failure> {
        let wrong = |why: &str| Failure::new(Exit::Usage, format!("`{}`: {why}", self.name));
        let start_ms = self.time.unwrap_or_else(|| unix_ms() / 1000) * 1000;
        let (name, tags) = self.name.split_once(';').unwrap_or((&self.name, ""));
        let tags: Vec<_> = tags
            .split(';')
            .filter(|tag| !tag.is_empty())
            .map(|tag| tag.split_once('=').ok_or_else(|| wrong("a tag is written ;tag=value")))
            .collect::<Result<_, _>>()?;
        let mut batch = BatchWriter::new(&self.source, start_ms, 1000);
        batch.gauge(name, &tags, &Gauge::reading(self.value, start_ms));
        let batch = batch.finish();
        let batch = BatchReader::new(&batch).map_err(|why| wrong(&why.to_string()))?;
        let mut window = Window::new(start_ms, 1000, 1000);
        let mut refused = None;
        window.fold_batch(&batch, |why| refused = Some(why));
        match refused {
            Some(why) => Err(wrong(&why.to_string())),
            None => Ok(window),
        }
    }
}

/// The name of a destination in the output.
fn shown<B: Backend>(Opened { destination, backend }: &Opened<B>) -> String {
    destination.clone().or_else(|| backend.destination()).unwrap_or_else(|| "backend".to_owned())
}

/// Connects to each destination, and says what works.
pub(super) fn check<B: BackendProgram>(
    opened: Vec<Opened<B>>,
    to: &mut impl Write,
) -> Result<(), Failure> {
    let (mut failed, of) = (0, opened.len());
    for mut one in opened {
        let name = shown(&one);
        let Reached { works, fails } = one.backend.reach().unwrap_or_else(|| {
            one.backend.target().map_or(Ok(Vec::new()), |target| connect(&target)).into()
        });
        works.iter().for_each(|what| say(to, &format!("{name}: ok: {what}")));
        if let Some(why) = fails {
            failed += 1;
            say(to, &format!("{name}: failed: {why}"));
        }
    }
    finish(failed, of, "cannot be reached")
}

fn connect(target: &Target) -> Result<Vec<String>, String> {
    probe::reach(target)?;
    Ok(vec![format!("{}:{} accepts connections", target.host, target.port)])
}

/// Sends a point to each destination that gets its name, or only prints what would be sent.
pub(super) fn send<B: Backend>(
    point: &Point,
    opened: Vec<Opened<B>>,
    is_dry: bool,
    to: &mut impl Write,
) -> Result<(), Failure> {
    let (mut failed, mut of) = (0, 0);
    for mut one in opened {
        let name = shown(&one);
        for payload in one.backend.payloads(point.window()?) {
            let body = String::from_utf8_lossy(&payload.body).trim_end().to_owned();
            of += 1;
            if is_dry {
                say(to, &body);
                continue;
            }
            match one.backend.send_checked(&payload) {
                Ok(()) => say(to, &format!("{name}: sent: {body}")),
                Err(error) => {
                    failed += 1;
                    let why = causes(std::error::Error::source(&error).unwrap_or(&error));
                    say(to, &format!("{name}: not sent: {why}"));
                }
            }
        }
    }
    if of == 0 {
        let why = format!("nothing is sent for `{}` with these flags", point.name);
        return Err(Failure::new(Exit::Usage, why));
    }
    finish(failed, of, "did not take the point")
}

fn finish(failed: usize, of: usize, what: &str) -> Result<(), Failure> {
    if failed == 0 {
        return Ok(());
    }
    Err(Failure::new(Exit::Unavailable, format!("{failed} of {of} destinations {what}")))
}

fn say(to: &mut impl Write, line: &str) {
    // The caller closes `to` and reports its errors.
    writeln!(to, "{line}").and_then(|()| to.flush()).ok();
}
