use zibrato::time_me;

#[time_me(outcomes(level = "warn"))]
fn measured() {}

fn main() {}
