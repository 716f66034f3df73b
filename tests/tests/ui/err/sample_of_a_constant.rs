use zibrato::time_me;

#[time_me(sample = EVERY)]
fn measured() {}

const EVERY: u32 = 10;

fn main() {}
