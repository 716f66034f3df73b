use zibrato::count_me;

#[count_me(level = "")]
fn measured() {}

fn main() {}
