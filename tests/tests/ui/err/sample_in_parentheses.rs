use zibrato::time_me;

#[time_me(sample(10))]
fn measured() {}

fn main() {}
