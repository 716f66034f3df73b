use zibrato::count_me;

#[count_me(crate = "::zibrato")]
fn measured() {}

fn main() {}
