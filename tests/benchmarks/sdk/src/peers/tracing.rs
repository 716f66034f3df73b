//! `tracing`: spans of level info, which a subscriber times and writes to nowhere; debug is off.

use crate::measure::{Case, Who, looped};
use std::error::Error;
use std::io;
use tracing::Level;
use tracing::{debug_span, info_span};
use tracing_subscriber::fmt::format::FmtSpan;

pub fn cases() -> Result<Vec<Case>, Box<dyn Error>> {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::INFO)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(io::sink);
    tracing::subscriber::set_global_default(subscriber.finish())?;
    let case = |row, name, run| Case::new(row, Who::Peer(name), run);
    Ok(vec![
        case("time", "tracing, span to fmt", looped(|| drop(info_span!("timed").entered()))),
        case("unwanted", "tracing, level off", looped(|| drop(debug_span!("off").entered()))),
    ])
}
