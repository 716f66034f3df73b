use zibrato::count_me;

#[count_me(name = "")]
fn measured() {}

fn main() {}
