use zibrato::count_me;

#[count_me(3)]
fn measured() {}

fn main() {}
