use zibrato::time_me;

#[time_me(slow("1s", "warn"))]
fn measured() {}

fn main() {}
