use zibrato::time_me;

#[time_me(value = 3)]
fn measured() {}

fn main() {}
