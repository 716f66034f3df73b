use zibrato::time_me;

#[time_me(slow("0s"))]
fn measured() {}

fn main() {}
