use zibrato::time_me;

#[time_me(sample = 1_000_001)]
fn measured() {}

fn main() {}
