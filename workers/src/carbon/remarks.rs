//! What the worker logs about the names at one destination, each once: names that are also folders,
//! and retentions that windows do not fit.

use super::address::Address;
use super::encode::Encoder;
use super::folders::{Collision, Folders};
use super::schemas::{Misfit, Schemas, example};
use crate::backend::Payload;
use std::time::Duration;

/// What is known of the names at a destination.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    folders: Folders,
    /// Those of the flag `--schemas`.
    pub(super) schemas: Option<Schemas>,
}

impl Remarks {
    /// Logs what is new in a window, which `encoder` has encoded.
    pub(super) fn log(
        &mut self,
        payloads: &[Payload],
        encoder: &Encoder,
        (stamp, window): (u64, Duration),
        to: &Address,
    ) {
        for Collision { name, inside } in self.folders.collisions(payloads, &encoder.gauge_parts) {
            tracing::warn!(event = "name_is_folder", stamp, name, inside, %to);
        }
        for misfit in self.schemas.iter_mut().flat_map(|all| all.of_window(payloads, window)) {
            let (why, what) = (misfit.effect(), misfit.advice());
            let Misfit { section, name, flush_s, precision_s } = misfit;
            let event = "retention_misfit";
            tracing::warn!(event, section, name, flush_s, precision_s, why, what, %to);
        }
    }

    /// What may be a mistake, before there are names.
    pub(super) fn doubts(&mut self, encoder: &Encoder, flush: Duration) -> Vec<String> {
        let Some(schemas) = &mut self.schemas else { return Vec::new() };
        let mut encoder = Encoder { naming: encoder.naming.clone(), ..Encoder::default() };
        schemas.doubts(&encoder.encode(example(flush)).payloads, flush)
    }
}
