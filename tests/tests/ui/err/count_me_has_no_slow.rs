use zibrato::count_me;

#[count_me(slow("1s"))]
fn measured() {}

fn main() {}
