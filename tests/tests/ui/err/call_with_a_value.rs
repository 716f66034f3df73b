use zibrato::time_me;

#[time_me(call = true)]
fn measured() {}

fn main() {}
