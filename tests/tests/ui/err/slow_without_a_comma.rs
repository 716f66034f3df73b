use zibrato::time_me;

#[time_me(slow("1s" level = "warn"))]
fn measured() {}

fn main() {}
