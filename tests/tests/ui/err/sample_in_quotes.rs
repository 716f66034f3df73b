use zibrato::time_me;

#[time_me(sample = "100")]
fn measured() {}

fn main() {}
