use zibrato::count_me;

#[count_me(name = true)]
fn measured() {}

fn main() {}
