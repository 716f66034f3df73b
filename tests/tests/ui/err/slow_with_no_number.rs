use zibrato::time_me;

#[time_me(slow("fast"))]
fn measured() {}

fn main() {}
