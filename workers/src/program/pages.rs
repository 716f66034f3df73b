//! The HTTP pages of a program's workers.

mod metrics;

use super::crew::Views;
use super::http::no_such_page;
use crate::counters::Counters;
use crate::worker::View;
use metrics::metrics;
use zibrato::daemon::Page;

/// The page for a path.
pub(super) fn page(path: &str, program: &str, views: &Views) -> Page {
    match path {
        "/healthz" => match views.stuck() {
            None => Page::text(200, "ok\n"),
            Some(why) => Page::text(503, format!("{why}\n")),
        },
        "/readyz" => {
            let is_ready = views.0.iter().all(|(_, view)| view.unready().is_none());
            Page::text(if is_ready { 200 } else { 503 }, status(views) + "\n")
        }
        "/metrics" => Page::metrics(metrics(program, views)),
        _ => no_such_page(),
    }
}

/// A short description of the state of each worker. Those that are not ready come first.
pub(super) fn status(views: &Views) -> String {
    let mut said: Vec<_> = views
        .0
        .iter()
        .map(|(destination, view)| {
            let unready = view.unready();
            let (is_ready, words) = (unready.is_none(), words(view, unready));
            (is_ready, destination.iter().fold(words, |words, to| format!("{to}: {words}")))
        })
        .collect();
    said.sort_by_key(|(is_ready, _)| *is_ready);
    said.into_iter().map(|(_, words)| words).collect::<Vec<_>>().join("; ")
}

fn words(view: &View, unready: Option<String>) -> String {
    if let Some(why) = unready {
        return why + &backlog(view);
    }
    if let Some(why) = view.live_because() {
        return format!("ready, on the live stream: {why}");
    }
    let (behind, waiting) = (view.behind().as_secs(), view.waiting());
    let mut said = match view.progress().reading().replaying {
        true => format!("ready, {behind} s behind, {waiting} windows waiting"),
        false => format!("ready, {waiting} windows waiting"),
    };
    let Counters { dead_letters: letters, gone, cursors_forgotten, .. } = view.counters();
    if cursors_forgotten > 0 {
        said += "; earlier measurements were not delivered, because the broker had deleted this \
                 worker's cursor";
    }
    if gone > 0 {
        said += &format!(
            "; {gone} batches were deleted from the journal or damaged before they were read"
        );
    }
    if letters > 0 {
        said += &format!(
            "; {letters} payloads were rejected since the start, and kept: see `deadletter list`"
        );
    }
    said
}

/// Says that undelivered windows are in the journal, for a worker that is not ready.
fn backlog(view: &View) -> String {
    let replaying = view.progress().reading().replaying;
    if !replaying || !view.counters().broker_connected {
        return String::new();
    }
    match view.behind().as_secs() {
        0 => String::new(),
        behind => format!(
            "; the broker's journal holds the last {behind} s, which are not \
                           delivered yet"
        ),
    }
}
