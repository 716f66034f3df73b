use zibrato::count_me;

#[count_me]
pub use std::fmt;

fn main() {}
