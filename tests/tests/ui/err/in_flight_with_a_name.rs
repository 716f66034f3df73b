use zibrato::time_me;

#[time_me(in_flight = "running")]
fn measured() {}

fn main() {}
