use zibrato::time_me;

#[time_me(slow("250 ms"))]
fn measured() {}

fn main() {}
