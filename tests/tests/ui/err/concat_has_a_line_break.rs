use zibrato::count_me;

#[count_me(name = concat!("a", "\n"))]
fn measured() {}

fn main() {}
