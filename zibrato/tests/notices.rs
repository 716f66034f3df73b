//! What the log of an application says of names and tags made at run time.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use zibrato::{Zibrato, count, count_me};

/// Keeps the lines.
struct Kept(Mutex<Vec<String>>);

static KEPT: Kept = Kept(Mutex::new(Vec::new()));

impl log::Log for Kept {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.target() == "zibrato" {
            self.lines(|lines| lines.push(record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

impl Kept {
    fn lines<T>(&self, act: impl FnOnce(&mut Vec<String>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[count_me(name = "results", tags(text = |text| text), max_series = 3)]
fn answer(text: String) -> String {
    text
}

#[test]
fn the_first_changed_text_and_the_first_overflow_of_a_call_site_are_logged() {
    log::set_logger(&KEPT).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let builder = Zibrato::builder().port(1).flush_deadline(Duration::from_millis(20));
    let guard = builder.install().unwrap();
    for n in 0..5_000 {
        count!("info", "many", tags(n = n, region = "eu"));
        count!("info", "bad", tags(text = format!("{n}|")), max_series = 100);
        answer(format!("{n}\n"));
        count!("info", format!("shard.{}|rows.of.everybody.in.every.region.there.is", n % 2));
    }
    // Together with the others, more than fit.
    for n in 0..100_000 {
        count!("info", "flood", tags(n = n), max_series = 100_000);
    }
    let about = |what: &str| -> Vec<String> {
        KEPT.lines(|lines| lines.iter().filter(|line| line.contains(what)).cloned().collect())
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while about("`").len() < 7 && Instant::now() < deadline {
        thread::yield_now();
    }
    drop(guard);
    let together = "further ones are counted together, with tags of the value _overflow";
    let overflow = |name: &str, most: u32| {
        format!(
            "`{name}` in notices has too many series (at most {most} of a call site); {together}; \
             Builder::max_series_per_site or `max_series` allows more"
        )
    };
    let flood = format!(
        "`flood` in notices has too many series (at most 100000 of all call sites together); \
         {together}; give this or other call sites names and tags with fewer values"
    );
    let renamed = |series: &str| {
        format!(
            "a name or tag in notices contains `|` or a control character, is empty, or is too long, so it is \
             changed, here of {series}; Stats::renamed counts such series"
        )
    };
    assert_eq!(
        about("too many"),
        [overflow("results", 3), overflow("bad", 100), overflow("many", 1000), flood]
    );
    // Values of tags, and what a name contains after its beginning, may be secret.
    let tagged = "with the tag text";
    assert_eq!(
        about("is changed"),
        [
            renamed(&format!("`bad` {tagged}")),
            renamed(&format!("`results` {tagged}")),
            renamed("`shard.0_rows.of.everybody.in.every.regio…`")
        ]
    );
}
