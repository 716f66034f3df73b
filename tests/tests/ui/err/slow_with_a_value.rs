use zibrato::time_me;

#[time_me(slow = "250ms")]
fn measured() {}

fn main() {}
