//! Tests of what is uploaded.

use super::{Job, Pictures};
use crate::slack::alert::file::parse;
use crate::slack::alert::state::Track;
use crate::slack::client::Client;
use zibrato::window::Window;
use zibrato::wire::Line;

const RULES: &str =
    "zone = 'Europe/Berlin'\n[[rule]]\nname = 'web:slow'\nmetric = 'web'\nabove = 0.5\n";

fn job(values: &[Option<f64>], window_ms: u64) -> Job {
    let rules = parse(RULES).unwrap();
    let mut window = Window::new(0, 60_000, 10);
    window.fold_line(&Line::decode(b"info|t|web|0.612|1|web-1").unwrap());
    let series = window.into_series().remove(0);
    let mut track = Track::new(&rules.rules[0], &series, "dc=fra".to_owned());
    track.values = values.iter().copied().collect();
    track.value = values.last().copied().flatten();
    let place = ("C1".to_owned(), "1.000100".to_owned());
    Job::new(&track, &rules, &place, (1_795_176_000_000, window_ms))
}

#[test]
fn the_upload_says_what_the_picture_shows() {
    let upload = format!("{:?}", job(&[Some(0.2), Some(0.612)], 60_000).upload().unwrap());
    for part in [
        "\"web-slow.png\"",
        "\"web on web-1\"",
        "\"web on web-1: 612 ms (threshold > 500 ms), from 12:58 to 13:00 Europe/Berlin\"",
        "\"C1\"",
        "\"1.000100\"",
    ] {
        assert!(upload.contains(part), "{part} {}", upload.split("bytes").next().unwrap());
    }
    let (from, to) = job(&[Some(1.0); 24], 7_200_000).times(24);
    assert_eq!((&*from, &*to), ("Nov 18 13:00", "Nov 20 13:00 Europe/Berlin"));
}

#[test]
fn pictures_that_cannot_be_uploaded_are_dropped_when_too_many_wait() {
    // Nothing listens there, and each attempt waits for the next one.
    let settings = Client::builder("xoxb-1").url("http://127.0.0.1:1/api");
    let mut pictures = Pictures::new(settings).unwrap();
    for _ in 0..super::MOST + 2 {
        pictures.offer(job(&[Some(1.0)], 60_000));
    }
    let waiting = pictures.running.as_ref().unwrap().jobs.len();
    assert!((super::MOST - 1..=super::MOST).contains(&waiting), "{waiting}");
    pictures.stop.raise();
}
