//! What intakes need to read recorded packets, without sockets and threads. For `tests/vectors`.

use super::rules::{RulesReader, RulesStore};
use super::{IntakeContext, IntakeError, Link};
use std::path::Path;
use std::sync::Arc;
use zibrato::daemon::Stop;
use zibrato::resources::new_context;
use zibrato::wire::PublisherId;

/// The flags of an intake, from arguments.
pub(super) fn flags<F: clap::Args>(args: &[String]) -> Result<F, IntakeError> {
    let command = F::augment_args(clap::Command::new("recorded").no_binary_name(true));
    Ok(F::from_arg_matches(&command.try_get_matches_from(args)?)?)
}

/// A context that publishes to nobody, with the rules of a file.
pub(super) fn context(
    name: &'static str,
    rules: Option<&Path>,
) -> Result<IntakeContext, IntakeError> {
    let link = Arc::new(Link::new(name, PublisherId::random()));
    let router = new_context(1)?.socket(zmq::PUSH)?;
    let mut context = IntakeContext::new(name, "info".to_owned(), Stop::new()?, router, link);
    let store = rules.map(RulesStore::open).transpose()?;
    context.rules = RulesReader::new(store.map(Arc::new));
    Ok(context)
}

impl IntakeContext {
    /// Continues at this time, by both clocks.
    pub(super) const fn continue_at(&mut self, now_ms: u64) {
        (self.clocks.now_ms, self.clocks.uptime_ms) = (now_ms, now_ms);
    }
}
