//! A recipe of docs/recipes.md: a host that loads a plugin; both have an instrument of their own.
#![expect(clippy::print_stdout, reason = "the result of the program")]
#![expect(unsafe_code, reason = "functions of a plugin have no types")]

use libloading::{Library, Symbol};
use std::error::Error;
use zibrato::{Zibrato, time};

fn main() -> Result<(), Box<dyn Error>> {
    let _zibrato = Zibrato::builder().source("host").install()?;
    let path = std::env::args().nth(1).ok_or("which plugin?")?;
    // SAFETY: the plugin has these functions, with these types.
    let (plugin, sum) = unsafe {
        let plugin = Library::new(path)?;
        let start: Symbol<'_, extern "C" fn()> = plugin.get("plugin_start")?;
        let square: Symbol<'_, extern "C" fn(u32) -> u64> = plugin.get("plugin_square")?;
        let stop: Symbol<'_, extern "C" fn()> = plugin.get("plugin_stop")?;
        start();
        let sum: u64 = (1..=10).map(|n| time!("info", "host.call", square(n))).sum();
        stop(); // flushes; its threads have ended
        (plugin, sum)
    };
    plugin.close()?;
    println!("{sum}");
    Ok(())
}
