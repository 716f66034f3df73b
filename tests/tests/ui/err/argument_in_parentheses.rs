use zibrato::count_me;

#[count_me(level("info"))]
fn measured() {}

fn main() {}
