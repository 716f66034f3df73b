use zibrato::time_me;

#[time_me(sample = 0)]
fn measured() {}

fn main() {}
