use zibrato::count_me;

#[count_me(level = 3)]
fn measured() {}

fn main() {}
