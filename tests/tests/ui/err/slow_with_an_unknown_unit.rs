use zibrato::time_me;

#[time_me(slow("2h"))]
fn measured() {}

fn main() {}
