use zibrato::time_me;

#[time_me(slow(level = "warn"))]
fn measured() {}

fn main() {}
