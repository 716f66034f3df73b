use zibrato::time_me;

#[time_me(slow)]
fn measured() {}

fn main() {}
