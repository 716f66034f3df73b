//! The client of Librato's API against servers that answer well, badly, and not at all.

mod bad_answers;
mod bad_input;
mod lists;
mod page;
mod same_requests;
mod sending;

use std::time::Duration;
use zibrato_tests::fake::ScriptedServer;
use zibrato_workers::librato::client::{Client, ClientBuilder, Credentials, RetryPolicy};

/// The settings of a client of this server, which waits little before it tries again.
fn client(of: &ScriptedServer) -> ClientBuilder {
    let credentials = Credentials::new("user@example.com", "tok123").unwrap();
    let retries = RetryPolicy::default().first_wait(Duration::from_millis(1));
    Client::builder(credentials).url(format!("{}/v1", of.url())).retries(retries)
}
