//! Everything together: real programs, a real Carbon, a real CollectD, a real supervisord, real
//! Python clients.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which fail so")]

mod bad_input;
mod carbon;
mod carbon_commands;
mod carbon_destinations;
mod carbon_key;
mod carbon_names;
mod carbon_protocols;
mod carbon_schemas;
mod carbon_setups;
mod carbon_tls;
mod check;
mod collectd;
mod daemons;
mod delivery;
mod demand;
mod descriptors;
mod ends;
mod fakes;
mod gauges;
mod handshakes;
mod histograms;
mod homes;
mod inherited;
mod intakes;
mod journal_disk;
mod killed;
mod levels;
mod librato_calls;
mod librato_client;
mod librato_commands;
mod librato_intake;
mod machine;
mod manual;
mod million;
mod notices;
mod own_backend;
mod python;
mod quickstart;
mod readme;
mod refusals;
mod scopes;
mod security;
mod shapes;
mod starts;
mod statsd_names;
mod streams;
mod supervisord;
mod surviving;
mod tls;
mod variables;
mod vectors;
mod walks;
mod wrong_values;
