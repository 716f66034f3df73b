use zibrato::time_me;

#[time_me(slow("250"))]
fn measured() {}

fn main() {}
