use zibrato::time_me;

#[time_me(outcomes = true)]
fn measured() {}

fn main() {}
