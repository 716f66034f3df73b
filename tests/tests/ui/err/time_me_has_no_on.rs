use zibrato::time_me;

#[time_me(on = "err")]
fn measured() {}

fn main() {}
