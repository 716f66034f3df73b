#[zibrato::count_me(name = user)]
fn measured() {}

fn main() {}
