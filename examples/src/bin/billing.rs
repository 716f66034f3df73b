//! A recipe of docs/recipes.md: what each tenant has to pay for.
#![expect(clippy::print_stderr, reason = "a program tells its user what failed")]

use std::error::Error;
use std::io;
use std::time::Duration;
use zibrato::{Zibrato, count};

/// Bills the bytes that a request of this tenant has transferred.
fn bill(tenant: &str, bytes: u64) {
    count!("billing", "api.bytes", bytes, tags(tenant = tenant), max_series = 5_000);
}

fn main() -> Result<(), Box<dyn Error>> {
    let zibrato = Zibrato::builder()
        .source("api")
        .flush_deadline(Duration::from_secs(30)) // waits that long for a broker at the end
        .install()?;
    // A request a line: the tenant, and the number of bytes.
    for line in io::stdin().lines() {
        let line = line?;
        let (tenant, bytes) = line.split_once(' ').ok_or("a line without a space")?;
        bill(tenant, bytes.parse()?);
    }
    let stats = zibrato.shutdown();
    if stats.delivered < stats.recorded {
        eprintln!("not everything was billed: {stats:?}");
    }
    if let Some(series) = stats.overflowing {
        eprintln!("{series} has more tenants than max_series; the others are billed as _overflow");
    }
    Ok(())
}
