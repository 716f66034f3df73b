//! A recipe of docs/recipes.md: a plugin with an instrument of its own.
#![expect(unsafe_code, reason = "names of a C library are global")]

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use zibrato::{Guard, Zibrato, time_me};

static ZIBRATO: Mutex<Option<Guard>> = Mutex::new(None);

/// Called once, after the host has loaded the plugin.
#[unsafe(no_mangle)]
pub extern "C" fn plugin_start() {
    let builder = Zibrato::builder().source("plugin").flush_deadline(Duration::from_secs(2));
    // Without an instrument the plugin does its work in the same way.
    *ZIBRATO.lock().unwrap_or_else(PoisonError::into_inner) = builder.install().ok();
}

/// The work of the plugin.
#[unsafe(no_mangle)]
#[time_me(name = "plugin.square")]
pub extern "C" fn plugin_square(number: u32) -> u64 {
    u64::from(number) * u64::from(number)
}

/// Called once, before the host unloads the plugin: flushes, and ends the threads of the instrument.
#[unsafe(no_mangle)]
pub extern "C" fn plugin_stop() {
    drop(ZIBRATO.lock().unwrap_or_else(PoisonError::into_inner).take());
}
