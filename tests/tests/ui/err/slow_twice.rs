use zibrato::time_me;

#[time_me(slow("1s"), slow("10s", level = "error"))]
fn measured() {}

fn main() {}
