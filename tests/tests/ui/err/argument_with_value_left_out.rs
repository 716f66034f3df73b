use zibrato::count_me;

#[count_me(level = , name = "a")]
fn measured() {}

fn main() {}
