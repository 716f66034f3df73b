//! CollectD's binary network protocol over UDP.
//!
//! ```text
//! datagram ─▶ parts ─▶ signature, decryption ─▶ value lists ─▶ rates ─▶ names ─▶ gauges
//!                      (auth file)              (types.db)     (last readings)
//! ```

mod auth;
mod crypt;
mod datagram;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod names;
mod parts;
mod rates;
mod rejected;
#[cfg(any(test, feature = "fuzzing"))]
mod sealing;
mod types_db;
mod value_list;
